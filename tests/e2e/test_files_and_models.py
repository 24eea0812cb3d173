"""Files and models, from NAME.toml to a closed host: beside a stack, and a model alone in a bundle of its own under the same
root.

The commands are typed as a user does; the hub is one of ours on loopback that speaks the hub's API.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import find_python, run
from tests.e2e.test_second_day import Builder, Operator
from tests.support.hub import LoopbackHub, make_model
from tests.support.wheels import sha256_of

pytestmark = pytest.mark.index

TARGET = '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n'
USE = """
import json, os, pathlib, idna
cache = pathlib.Path(os.environ["HF_HUB_CACHE"])
repository = cache / "models--org--tiny"
revision = (repository / "refs" / "main").read_text()
snapshot = repository / "snapshots" / revision
files = sorted(str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file())
print(json.dumps([files, os.path.samefile(snapshot, os.environ["TINY"]), open(os.environ["CHAT"]).read()]))
"""


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    if find_python("3.11") is None:
        pytest.skip("no Python 3.11 on this machine")
    return Builder(tmp_path / "builder")


def write_stack(
    builder: Builder, name: str, hub: LoopbackHub, revision: str, requirements: str, more: str = ""
) -> None:
    model = (
        f'[[models]]\nrepository = "org/tiny"\nrevision = "{revision}"\nvariable = "TINY"\nendpoint = "{hub.origin}"\n'
    )
    text = f"{TARGET}\n[python]\nrequirements = {requirements}\n\n{model}\n{more}"
    (builder.directory / "lockfiles" / f"{name}.toml").write_text(text)


def test_files_and_models_travel_with_a_stack(builder: Builder, tmp_path: Path) -> None:
    with LoopbackHub() as hub:
        revision = hub.add("org/tiny", make_model())
        chat = builder.directory / "lockfiles" / "chat.jinja"
        chat.write_text("{{ messages }}")
        wish = f'[[files]]\npath = "chat.jinja"\nsha256 = "{sha256_of(chat)}"\nto = "templates/chat.jinja"\nvariable = "CHAT"\n'
        write_stack(builder, "demo", hub, revision, '["idna==3.7"]', wish)
        locked = builder.json("lock", "demo")
        assert "demo.models.toml" in [Path(file["path"]).name for file in locked["files"]]
        before = (builder.directory / "lockfiles" / "demo.models.toml").read_bytes()
        assert not any(file["changed"] for file in builder.json("lock", "demo")["files"])
        assert (builder.directory / "lockfiles" / "demo.models.toml").read_bytes() == before
        bundled = builder.json("bundle", "demo", "-o", "demo.tar", "--locked")
    assert {"files", "models", "wheels"} <= set(bundled["contents"])
    builder("verify", "demo.tar", "--deep")
    report = builder.json("report", "demo.tar")
    assert {row["path"].split("/")[0] for row in report["artifacts"]} >= {"files", "models", "wheels"}

    builder("installer", "-o", "mirror.pyz")
    operator = Operator(tmp_path / "closed", builder.directory / "mirror.pyz")
    operator("trust", "add", builder.directory / "demo.tar", "--fingerprint", bundled["root_fingerprint"])
    assert "1 file" in operator("install", builder.directory / "demo.tar")
    said = operator("run", "demo", "--", "python", "-c", USE)
    names = [name for name in make_model() if not name.startswith(".") and not name.endswith(".png")]
    assert json.loads(said.splitlines()[-1]) == [sorted(names), True, "{{ messages }}"]
    operator("status", "--check")
    blob = next((operator.prefix / "current" / "models").rglob("blobs/*"))
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    refused = operator.refused("status", "--check")
    assert blob.name in refused


def test_a_model_alone_has_a_bundle_of_its_own(builder: Builder, tmp_path: Path) -> None:
    """Under the same root: weights outweigh code by far, and change at other times."""
    with LoopbackHub() as hub:
        write_stack(builder, "tiny", hub, hub.add("org/tiny", make_model()), "[]")
        bundled = builder.json("bundle", "tiny", "-o", "tiny.tar")
    assert "wheels" not in bundled["contents"] and "models" in bundled["contents"]
    builder("installer", "-o", "mirror.pyz")
    operator = Operator(tmp_path / "closed", builder.directory / "mirror.pyz")
    operator("trust", "add", builder.directory / "tiny.tar", "--fingerprint", bundled["root_fingerprint"])
    operator("install", builder.directory / "tiny.tar")
    prefix = operator.prefix.with_name("tiny")
    script = f'. "{prefix}/current/env.sh" && ls "$TINY" && env'
    said = run(["env", "-i", f"PATH={Path(sys.executable).parent}:/usr/bin:/bin", "sh", "-euc", script])
    assert "model.safetensors" in said and "HF_HUB_OFFLINE=1" in said and "VIRTUAL_ENV" not in said
    operator("status", "--check")
