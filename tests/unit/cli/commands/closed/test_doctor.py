"""``mirror doctor`` as an operator types it: in this process, and as mirror.pyz under the oldest Python it is for."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.connected.packing.installer import write_installer
from mirror.core.logs.finding import VERSIONS
from mirror.core.logs.rules import RULES
from mirror.core.logs.symptoms import SYMPTOMS
from tests.support.desk import BASE, Desk

SERVERS = Path(__file__).parents[4] / "vectors" / "servers"
LOG = "[1/2] nvcc\nfatal error: nv/target: No such file or directory\n"


@pytest.fixture
def home(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's trust, default prefixes and an ordinary shell, in the desk's directory."""
    for name in ("LD_LIBRARY_PATH", "PYTHONPATH", "CUDA_HOME", "MIRROR_GENERATION", "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MIRROR_HOME", str(desk.path / "trust"))
    monkeypatch.setenv("XDG_DATA_HOME", str(desk.path / "share"))
    return desk.path / "share/mirror"


@pytest.fixture
def installed(desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["install", str(desk.bundle()), "--python", str(BASE)]) == 0
    capsys.readouterr()
    return home / "demo"


def test_without_a_stack_the_host_is_looked_at(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) in (0, 110)
    out = capsys.readouterr().out
    assert "note     stack: nothing is installed; only the host is looked at" in out
    assert "things are good (--verbose lists them)" in out


def test_a_stack_that_was_named_must_be_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "h100"]) == 99
    assert main(["doctor", "--prefix", str(home / "nowhere")]) == 99
    assert capsys.readouterr().out == ""


def test_an_installed_stack_is_looked_at_and_tried_out(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--verbose"]) == 0
    out, err = capsys.readouterr()
    assert "good     self-test: import left_pad: passed" in out
    assert "good     architecture: all " in out
    assert "left_pad" in err  # it tells how far it is
    assert main(["doctor", "demo", "--quick"]) == 0
    assert "self-test" not in capsys.readouterr().out


def test_a_problem_has_its_cause_its_proof_and_its_fix_and_an_exit_code(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs/libcuda.so").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "stubs"))
    assert main(["doctor", "--prefix", str(installed), "--quick"]) == 110
    out, err = capsys.readouterr()
    first = out.splitlines()[:4]
    assert first[0] == (
        f"problem  LD_LIBRARY_PATH: it holds {tmp_path}/stubs, whose libcuda is there to link against, not to run  [E45]"
    )
    assert [line.strip().partition(":")[0] for line in first[1:]] == ["why", "seen", "do"]
    assert "error:" not in err


def test_json_holds_every_finding(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json", "--quick"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["stack"] == "demo"
    assert answer["generation"] == str((installed / "current").resolve())
    assert {"good", "note"} <= {finding["level"] for finding in answer["findings"]}
    assert all(finding["what"] for finding in answer["findings"])


def test_the_page_is_short_and_holds_the_logs_error(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "server.log").write_text(LOG)
    main(["doctor", "--page", "--log", str(tmp_path / "server.log")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 100
    assert "error     fatal error: nv/target: No such file or directory" in lines


def test_the_pages_error_is_that_of_the_logs_first_finding(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(text: str) -> str:
        (tmp_path / "server.log").write_text(text)
        main(["doctor", "--page", "--log", str(tmp_path / "server.log")])
        return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("error "))

    missing = "ModuleNotFoundError: No module named 'numpy_nope'"
    assert error(f'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n{missing}\n').endswith(
        missing
    )
    assert error("listening on :8000, 0 errors\n") == (
        "error     none: the server answered (line 1); no line of 1 says that something failed"
    )
    assert error("") == "error     none: the log is empty (0 bytes)"


def test_a_log_is_explained_from_a_file_and_from_standard_input(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "server.log").write_text(LOG)
    assert main(["doctor", "--log", str(tmp_path / "server.log")]) == 110
    text = capsys.readouterr().out
    assert "[E1]" in text
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LOG.encode())))
    assert main(["doctor", "--log", "-"]) == 110
    assert capsys.readouterr().out == text
    assert main(["doctor", "--log", str(tmp_path / "server.log"), "--json"]) == 110
    assert json.loads(capsys.readouterr().out)["sightings"][0]["row"] == "1"
    assert main(["doctor", "--log", str(tmp_path / "none")]) == 11


def test_of_logs_of_public_issues_what_other_causes_print_too_is_said_to_be_possible(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(log: str) -> tuple[str, str]:
        assert main(["doctor", "--log", str(SERVERS / f"{log}.log"), "--json"]) == 110
        found = json.loads(capsys.readouterr().out)
        first = found.get("general") or found["sightings"][0]
        return first["key"], first.get("certainty", "")

    assert told("nvtx-wheel-other-bytes") == ("hash-mismatch", "")
    assert told("image-banner-803") == ("E50", "")
    assert told("docker-driver-not-loaded") == ("driver-not-loaded", "may be")
    assert main(["doctor", "--log", str(SERVERS / "libpython-below-root-home.log")]) == 110
    assert "may be" in capsys.readouterr().out.splitlines()[0]


@pytest.mark.parametrize(
    ("lost", "said"),
    [("manifest.json", "it has no manifest.json"), ("receipt.json", "/receipt.json: No such file or directory")],
)
def test_a_stack_that_does_not_say_what_it_is_is_a_problem_and_the_host_is_still_looked_at(
    installed: Path, capsys: pytest.CaptureFixture[str], lost: str, said: str
) -> None:
    (installed / "current" / lost).unlink()
    assert main(["doctor", "--quick"]) == 110
    out = capsys.readouterr().out
    assert f"{said}; only the host is looked at" in out
    told = " ".join(out.split())
    assert "do: 'mirror status --check' tells what else is damaged. 'mirror install --repair BUNDLE --prefix " in told


def test_of_a_file_that_was_deleted_there_is_one_remedy_and_env_sh_is_the_current_one(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (module,) = (installed / "current").glob("venv/lib/python*/site-packages/left_pad.py")
    module.unlink()
    assert main(["doctor"]) == 110
    out = capsys.readouterr().out
    assert "problem  files: 1 of " in out and "not as installed: 1 of left_pad 1.0" in out
    assert "problem  self-test (may be): import left_pad failed\n" in out
    assert "seen: ModuleNotFoundError: No module named 'left_pad'" in out
    remedies = [line for line in out.splitlines() if "install --repair BUNDLE" in line]
    assert len(remedies) == 2 and "'mirror doctor' again" in remedies[1]
    assert "lock again" not in out and "is not installed" not in out
    assert f"do:   . {installed}/current/env.sh, or start programs with 'mirror run'" in out
    assert "pip list" not in out


def test_what_to_type_to_be_sure_needs_no_pip(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "server.log").write_text("ModuleNotFoundError: No module named 'left_pad'\n")
    main(["doctor", "--log", str(tmp_path / "server.log")])
    sure = next(line for line in capsys.readouterr().out.splitlines() if "to be sure: " in line)
    typed = f". {installed}/current/env.sh && {sure.partition(': ')[2]} && {VERSIONS} | grep -i left"
    listed = subprocess.run(["sh", "-c", typed], capture_output=True, text=True)
    assert "left_pad-1.0.dist-info" in listed.stdout.splitlines() and listed.stderr == ""
    checks = {rule.cause: rule.check for rule in RULES} | {symptom.row: symptom.check for symptom in SYMPTOMS}
    # Two are of what pip itself says, where pip is.
    assert [name for name, check in checks.items() if "-m pip" in check] == ["requirements-conflict", "37"]


def test_two_forms_at_once_are_a_usage_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exc_info:
        main(["doctor", "--json", "--page"])
    assert exc_info.value.code == 2


def test_mirror_pyz_holds_it_and_the_oldest_python_runs_it(tmp_path: Path) -> None:
    python = next(iter(sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python3.9"))), None) or shutil.which(
        "python3.9"
    )
    if python is None:
        pytest.skip("needs Python 3.9")
    write_installer(tmp_path / "mirror.pyz")
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C"}
    command = [str(python), "-I", str(tmp_path / "mirror.pyz"), "doctor"]
    finished = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode in (0, 110), finished.stderr
    assert "nothing is installed" in finished.stdout


def test_a_log_without_a_name_is_not_taken_for_no_log(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--quick", "--log", ""]) == 11
    assert "ref: unreadable" in capsys.readouterr().err


NOT_SAID = "big, demo are installed, and which of them the log is of was not said; none of them is looked at"


def test_where_two_stacks_are_installed_a_log_is_explained_and_nothing_is_looked_at_on_this_host(
    desk: Desk, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("demo", "big"):
        assert main(["install", str(desk.bundle(name=name)), "--python", str(BASE)]) == 0
    log = tmp_path / "server.log"
    log.write_text(LOG)
    capsys.readouterr()
    assert main(["doctor", "--log", str(log)]) == 110
    out = " ".join(capsys.readouterr().out.split())
    assert "[E1]" in out
    assert f"note stack: {NOT_SAID}" in out
    assert out.endswith(f"do: mirror doctor big --log {log}")
    assert main(["doctor", "--log", str(tmp_path / "none")]) == 11
    assert main(["doctor", "--log", str(tmp_path)]) == 11
    log.write_text("INFO: Application startup complete.\n")
    capsys.readouterr()
    assert main(["doctor", "--log", str(log), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["here"] == []
    assert main(["doctor", "--quick"]) == 100


def test_the_page_of_a_log_asks_for_no_stack_either_and_says_what_was_not_looked_at(
    desk: Desk, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("demo", "big"):
        assert main(["install", str(desk.bundle(name=name)), "--python", str(BASE)]) == 0
    (tmp_path / "server.log").write_text(LOG)
    command = ["doctor", "--page", "--log", str(tmp_path / "server.log")]
    capsys.readouterr()
    main(command)
    told = capsys.readouterr().out
    assert "error     fatal error: nv/target: No such file or directory" in told.splitlines()
    assert f"stack {NOT_SAID}" in " ".join(told.split())
    assert main(["doctor", "--page"]) == 100, "without a log, the page is of a stack"
    (home / "demo/current/receipt.json").unlink()
    capsys.readouterr()
    main([*command[:1], "demo", *command[1:]])
    told = capsys.readouterr().out
    assert "nothing is installed" not in told and "\nstack     cannot read " in told, "what is damaged is not absent"
