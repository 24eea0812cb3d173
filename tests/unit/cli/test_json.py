"""``--json``: one document on stdout, whatever happens, of a shape that ``mirror help json`` describes."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mirror.cli.document import Result, write_document
from mirror.cli.main import main
from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.generations import generation_at
from mirror.connected.prepare import prepare
from mirror.core.commands import COMMANDS
from mirror.core.toolkit.fileindex import BUNDLED
from tests.support.bundles import BundleSimulator
from tests.support.deltas import make_pair
from tests.support.desk import BASE, Desk
from tests.support.index import LoopbackIndex
from tests.support.keys import make_root, role, trust_store, write_private_key
from tests.support.osv import CRITICAL, record, write_dump
from tests.support.reports import Case
from tests.support.shapes import faults, shapes
from tests.support.site import SiteBundle
from tests.support.wheels import make_wheel
from tests.unit.cli.commands.connected.test_lock import TOML
from tests.unit.closed.which.test_search import INDEX
from tests.unit.connected.test_bundle import World, world

__all__ = ["world"]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    """Type a command, and get its document, which must be the only one, and of the shape that is described."""

    def asked(*words: object, code: int = 0, shape: str = "") -> Any:
        capsys.readouterr()
        typed = [*map(str, words)]
        typed.insert(typed.index("--") if "--" in typed else len(typed), "--json")  # what follows is another program's
        try:
            ended = main(typed)
        except SystemExit as exc:
            ended = int(exc.code or 0)
        out, err = capsys.readouterr()
        assert ended == code, err
        document = json.loads(out)
        assert faults(document) == []
        assert document["format"] == f"mirror-{shape}/1"
        assert ("error" in document) == (code not in (0, 110))
        if code not in (0, 110):
            assert document["error"]["exit_code"] == code
            assert f"ref: {document['error']['ref']}" in err
        return document

    return asked


def test_what_the_review_commands_print(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_root(approver=role("alice"))
    trust_store(tmp_path / "trust", root)
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "trust"))
    cases: list[Path] = []
    for name, version in (("old", "1.0"), ("new", "2.0")):
        case = Case(tmp_path, root, 1_790_000_000 + len(cases))
        case.add(f"wheels/torch-{version}-py3-none-any.whl")
        case.add("wheels/left_pad-1-py3-none-any.whl" if name == "old" else "wheels/right_pad-1-py3-none-any.whl")
        cases.append(case.write(f"{name}.tar"))
    old, new = cases
    dump = write_dump(tmp_path / "dump", record("GHSA-1", "torch", fixed="3", aliases=["CVE-1"], vector=CRITICAL))
    policy = tmp_path / "policy.toml"
    policy.write_text('[licences]\nallowed = ["BSD-3-Clause"]\n[vulnerabilities]\nblock = ["critical"]\n')
    ask("inspect", new, shape="inspect")
    waiting = ask("verify", new, code=38, shape="verify")
    assert waiting["missing"] and waiting["error"]["ref"] == "threshold-not-met"
    judged = ask("verify", new, "--policy", policy, code=123, shape="verify")
    assert judged["breaches"] and judged["not_judged"]
    ask("diff", old, new, shape="diff")
    ask("report", new, "--since", old, "--policy", policy, "--osv", dump, shape="report")
    ask("rescan", new, "--osv", dump, shape="rescan")
    blocked = ask("rescan", new, "--osv", dump, "--policy", policy, code=123, shape="rescan")
    assert blocked["new"] and blocked["error"]["ref"] == "policy-breached"
    key = write_private_key(tmp_path / "alice", "alice")
    ask("reject", new, "--key", key, "--note", "why?", shape="reject")
    refused = ask("verify", new, code=118, shape="verify")
    assert refused["statements"][0]["note"] == "why?"
    ask("approve", new, "--key", key, shape="approve")
    assert ask("verify", new, shape="verify")["missing"] == []
    policy.write_text('[licences]\nallowed = ["BSD-3-Clause"]\n')
    breached = ask("verify", new, "--policy", policy, code=123, shape="verify")
    assert breached["breaches"]


def test_what_is_known_of_machines(ask: Any) -> None:
    assert len(ask("targets", shape="targets")["variants"]) == 88
    assert ask("targets", "gh200", "--cuda", "12.8", shape="targets-variant")["target"]["arch"] == "aarch64"
    assert ask("targets", "none", code=2, shape="error")["error"]["ref"] == "usage"


def test_what_the_closed_commands_print(ask: Any, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_HOME", str(desk.path / "trust"))
    monkeypatch.setenv("XDG_DATA_HOME", str(desk.path / "share"))
    ask("status", code=99, shape="error")
    ask("detect", "-o", tmp_path / "target.toml", shape="detect")
    ask("trust", "add", desk.bundle("0.9", sequence=0), shape="trust-add")
    ask("doctor", "--quick", shape="doctor")
    for version, sequence in (("1.0", 1), ("2.0", 2)):
        ask("install", desk.bundle(version, sequence=sequence), "--python", BASE, shape="install")
    ask("verify", desk.bundle("2.0", sequence=2), "--deep", shape="verify")
    assert "checks" not in ask("status", shape="status")["stacks"][0]
    assert ask("status", "--check", shape="status")["stacks"][0]["checks"][0]["damages"] == []
    ask("env", shape="env")
    look_at_layers(ask, tmp_path, monkeypatch)
    look_at_hosts(ask, desk, tmp_path)
    reach = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 53))"
    assert ask("silence", "--", sys.executable, "-c", "", shape="silence")["silent"]
    assert ask("silence", "--", sys.executable, "-c", reach, code=8, shape="silence")["attempts"]
    assert ask("silence", "--record", "--", "python", "-c", "", shape="silence")["silent"]
    noted = [one["silence"] for one in ask("status", shape="status")["stacks"][0]["generations"] if one["current"]]
    assert noted[0][0]["silent"]
    ask("rollback", shape="rollback")
    ask("gc", "--keep", "0", "--dry-run", shape="gc")
    ask("which", "nv/target", code=109, shape="error")
    log = tmp_path / "server.log"
    log.write_text("ImportError: libcudart.so.12: cannot open shared object file: No such file or directory\n")
    ask("doctor", "--log", log, code=110, shape="doctor-log")


def look_at_hosts(ask: Any, desk: Desk, tmp_path: Path) -> None:
    """A third generation, prepared here and activated, and what two hosts tell of it."""
    prepared = ask("install", "--prepare", desk.bundle("3.0", sequence=3), "--python", BASE, shape="install")
    assert not prepared["is_current"]
    documents = [ask("status", shape="status")]
    assert [one["prepared"] for one in documents[0]["stacks"][0]["generations"]] == [False, False, True]
    ask("activate", "demo", Path(prepared["generation"]).name, shape="activate")
    documents.append(ask("status", shape="status"))
    for number, document in enumerate(documents):
        (tmp_path / f"n{number}.json").write_text(json.dumps(document))
    ask("status", "--compare", tmp_path / "n0.json", shape="status-compare")
    different = ask("status", "--compare", tmp_path / "n0.json", tmp_path / "n1.json", code=8, shape="status-compare")
    assert different["differing"] == ["n1"]
    ask("publish", desk.bundle("3.0", sequence=3), "--to", tmp_path / "site", shape="publish")
    ask("rollback", "--to", "2", shape="rollback")


def test_what_carrying_prints(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "trust"))
    pair = make_pair(tmp_path)
    trust_store(tmp_path / "trust", make_root())
    pair.new.unlink()
    assert not ask("apply", pair.delta, shape="apply")["was_there"]
    assert ask("apply", pair.delta, shape="apply")["was_there"]
    ask("apply", pair.old, code=3, shape="error")
    volumes = ask("split", pair.new, "--size", "40K", shape="split")["volumes"]
    assert ask("split", pair.new, "--size", "40K", shape="split")["kept"] == len(volumes)
    index = f"{pair.new}.volumes"
    assert [one["fault"] for one in ask("split", "--check", index, shape="split-check")["volumes"]] == [""] * len(
        volumes
    )
    Path(volumes[1]["path"]).unlink()
    found = ask("split", "--check", index, code=3, shape="split-check")
    assert [bool(one["fault"]) for one in found["volumes"]].index(True) == 1
    assert found["error"]["ref"] == "bad-volumes"
    ask("verify", index, code=3, shape="error")
    ask("install", pair.old, "--base", pair.new, code=2, shape="error")


def test_what_serve_prints_when_it_ends(tmp_path: Path) -> None:
    bundle = SiteBundle(tmp_path, rpms=False)
    bundle.store()
    command = [sys.executable, "-m", "mirror.cli.main", "serve", str(bundle.write()), "--port", "0", "--json"]
    environment = {**os.environ, "MIRROR_HOME": str(tmp_path / "trust")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    assert any(line.startswith("serving at http://127.0.0.1:") for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    document = json.loads(out)
    assert (process.returncode, document["format"], document["wheels"]) == (0, "mirror-" + "serve" + "/1", 2)
    assert faults(document) == []


def look_at_layers(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled kernels, packed and added here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    key, layer = write_private_key(tmp_path / "key"), tmp_path / "l.tar"
    ask("cache", "pack", "--key", key, "-o", layer, code=8, shape="error")
    generation = Path(ask("env", shape="env")["generation"])
    found = generation_at(generation)
    assert found is not None
    kernel = load_environment(found).caches(os.environ) / "triton/A/k.cubin"
    kernel.parent.mkdir(parents=True, mode=0o700)
    kernel.write_bytes(b"kernel")
    assert ask("cache", "status", shape="cache-status")["compiled"] == {"Triton": 1}
    ask("cache", "pack", "--key", key, "-o", layer, shape="cache-pack")
    ask("cache", "show", layer, shape="cache-show")
    ask("cache", "add", layer, shape="cache-add")
    ask("cache", "fill", shape="cache-fill")
    assert ask("cache", "status", "--check", shape="cache-status")["problems"] == []
    assert ask("status", "--check", shape="status")["stacks"][0]["checks"][0]["layer"] == []
    (generation / "warm/files/triton/A/k.cubin").chmod(0o600)
    (generation / "warm/files/triton/A/k.cubin").write_bytes(b"another")
    ask("cache", "status", "--check", code=8, shape="cache-status")
    ask("status", "--check", code=8, shape="status")
    ask("cache", "remove", shape="cache-remove")
    ask("cache", "fill", code=94, shape="error")


def test_what_which_prints(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = BundleSimulator()
    simulator.add(BUNDLED, INDEX.encode())
    simulator.store(tmp_path / "trust")
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "trust"))
    bundle = simulator.write(tmp_path / "b.tar")
    ask("which", "nvrtc.h", "--bundle", bundle, shape="which")
    ask("which", "none.h", "--bundle", bundle, code=108, shape="error")


def test_what_the_connected_commands_print(ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "home"))
    ask("installer", "-o", tmp_path / "mirror.pyz", shape="installer")
    ask("key", "new", tmp_path / "alice", shape="key-new")
    ask("key", "new", tmp_path / "alice", code=85, shape="error")
    ask("key", "show", tmp_path / "alice.pub", shape="key-show")
    ask("trust", "show", code=33, shape="error")
    ask("trust", "init", shape="trust-init")
    ask("trust", "show", shape="trust-show")
    ask("trust", "export", shape="trust-export")
    ask("trust", "add", tmp_path / "alice.pub", "--role", "approver", shape="trust-draft")
    ask("trust", "rotate", "--threshold", "approver=1", shape="trust-rotate")
    ask("trust", "remove", "alice", code=4, shape="error")
    ask("init", tmp_path / "fresh", "six", "--gpu", "h100", shape="init")
    with LoopbackIndex() as server:
        server.add(make_wheel(tmp_path, "a", "1.0"))
        (tmp_path / "demo.toml").write_text(TOML.format(url=server.url))
        ask("lock", tmp_path / "demo.toml", shape="lock")
        several = TOML.format(url=server.url).replace('arch = "x86_64"\n', "")
        several += '[targets.h100]\narch = "x86_64"\n[targets.gh200]\narch = "aarch64"\n'
        (tmp_path / "several.toml").write_text(several)
        locked = ask("lock", tmp_path / "several.toml", shape="lock-targets")["targets"]
        assert [(name, one["name"]) for name, one in locked.items()] == [
            ("h100", "several.h100"),
            ("gh200", "several.gh200"),
        ]
        assert list(ask("lock", tmp_path / "several.toml", "--target", "gh200", shape="lock-targets")["targets"]) == [
            "gh200"
        ]
        ask("lock", tmp_path / "several.toml", "--target", "b200", code=2, shape="error")
        ask("build", tmp_path / "demo.toml", shape="build-jobs")
        ask("init", tmp_path / "new.toml", shape="init")
        ask("init", tmp_path / "new.toml", code=10, shape="error")
    ask("bundle", "--lock", tmp_path / "none.txt", code=11, shape="error")


def test_what_bundle_prints(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its facts are the library's: the command takes the tools to carry from the real index."""
    plan, _ = prepare(world.options(tmp_path / "b.tar").wishes, world.store)
    results = [Result(plan.to_dict(world.store), "bundle-plan"), Result(world.bundle(tmp_path / "b.tar").to_dict())]
    delta = make_pair(tmp_path / "pair").made.to_dict()
    results.append(Result({**results[1].facts, "delta": delta}))
    results += [
        Result({"targets": {"h100": one.facts, "gh200": one.facts}}, shape)
        for one, shape in zip(results[:2], ("bundle-plan-targets", "bundle-targets"), strict=True)
    ]
    for result in results:
        write_document([result], "bundle")
        assert faults(json.loads(capsys.readouterr().out)) == []


@pytest.mark.parametrize(
    "words", [("verify",), ("verify", "x", "--nonsense"), ("nonsense",), ("trust",), ("which",), ("gc", "--keep", "x")]
)
def test_a_usage_error_is_a_document_too(ask: Any, words: tuple[str, ...]) -> None:
    assert ask(*words, code=2, shape="error")["error"]["ref"] == "usage"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_a_document_too(number: int, code: int) -> None:
    script = (
        "import sys, time\nfrom mirror.cli import main as door\nimport mirror.cli.commands.review.verify as verify\n"
        "def wait(args):\n    print('ready', file=sys.stderr, flush=True)\n    time.sleep(30)\n    return 0\n"
        "verify.run = wait\nsys.exit(door.main(['verify', 'x', '--json']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "ready\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == code
    assert faults(json.loads(out)) == []


def test_what_fails_after_the_result_is_in_the_same_document(capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import sys\nfrom mirror.cli import main as door\nimport mirror.cli.commands.closed.rollback as command\n"
        "from mirror.cli.document import print_json\n"
        "facts = {'prefix': '/p', 'before': '1', 'current': '2', 'before_number': 1, 'number': 2, 'repaired_by': 0,"
        " 'unmet': [], 'is_damaged': False}\n"
        "def run(args):\n    print_json(facts)\n    raise OSError(28, 'full', '/p')\n"
        "command.run = run\nsys.exit(door.main(['rollback', '--json']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ)
    document = json.loads(done.stdout)
    assert done.returncode == document["error"]["exit_code"] == 10
    assert document["current"] == "2" and faults(document) == []


def test_a_program_that_mirror_runs_has_its_json_for_itself(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert main(["run", "--", "program", "--json"]) == 99
    assert capsys.readouterr().out == ""


def test_every_command_that_has_json_is_asked_here() -> None:
    source = Path(__file__).read_text()
    for command in COMMANDS:
        text = Path(str(importlib.import_module(command.module).__file__)).read_text()
        assert '"--json"' not in text or f'"{command.name}"' in source, command.name


def test_every_shape_that_is_described_is_one_that_can_be_printed() -> None:
    """The other way round is what ``ask`` holds."""
    source = Path(__file__).read_text()
    for name in shapes():
        word = name.removeprefix("mirror-").removesuffix("/1")
        assert not name.startswith("mirror-") or f'"{word}"' in source, name
