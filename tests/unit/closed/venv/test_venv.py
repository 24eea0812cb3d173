from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.venv.venv import Installer, InstallerFailed, Venv, choose_installer, make_venv
from tests.support.wheels import make_wheel, sha256_of

MINOR = "{}.{}".format(*sys.version_info)


@pytest.fixture
def venv(tmp_path: Path) -> Venv:
    """A venv to be made, of two wheels of which one wants a third that is not there."""
    wheels = [
        make_wheel(
            tmp_path / "links", "left-pad", "1.0", requires=["not-carried>=7"], scripts={"left-pad": "left_pad:main"}
        ),
        make_wheel(tmp_path / "links", "right.pad", "2.0+cu130"),
    ]
    lines = [
        f"{wheel.name.split('-')[0]}=={wheel.name.split('-')[1]} --hash=sha256:{sha256_of(wheel)}\n" for wheel in wheels
    ]
    (tmp_path / "install.txt").write_text("".join(lines))
    (tmp_path / "work").mkdir()
    base = Path(sys.base_prefix) / "bin" / f"python{MINOR}"
    return Venv(tmp_path / "venv", base, "demo", tmp_path / "install.txt", str(tmp_path / "links"), tmp_path / "work")


def run_in(venv: Venv, source: str) -> str:
    return subprocess.run([venv.python, "-I", "-c", source], check=True, capture_output=True, text=True).stdout


def installed(venv: Venv) -> str:
    return run_in(venv, "import left_pad, right_pad; print(left_pad.__version__, right_pad.__version__)").strip()


def test_uv_comes_first_and_pip_where_uv_does_not_run(tools: tuple[Path, Path], tmp_path: Path) -> None:
    assert choose_installer(tools, tmp_path).name == "uv"
    assert choose_installer([tools[1]], tmp_path) == Installer("pip", tools[1])


def test_a_uv_that_cannot_run_here_gives_way_to_pip(tools: tuple[Path, Path], tmp_path: Path) -> None:
    broken = make_wheel(tmp_path, "uv", "9", files={"uv-9.data/scripts/uv": b"\x7fELF of another machine"})
    assert choose_installer([broken, tools[1]], tmp_path).name == "pip"
    (tmp_path / "uv").unlink()
    with pytest.raises(InstallerFailed, match="uv could not run on this host, and no pip is carried"):
        choose_installer([broken], tmp_path)


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_installs_exactly_the_pinned_wheels(tools: tuple[Path, Path], venv: Venv, name: str) -> None:
    make_venv(choose_installer([tool for tool in tools if tool.name.startswith(name)], venv.work), venv)
    assert installed(venv) == "1.0 2.0+cu130"
    assert (venv.path / "bin/left-pad").exists()
    assert not list(venv.path.rglob("not_carried*"))


@pytest.mark.group(29)
@pytest.mark.parametrize("name", ["uv", "pip"])
@pytest.mark.parametrize("winner", ["left-pad", "right-pad"])
def test_of_one_path_in_two_wheels_the_chosen_ones_bytes_are_kept(
    tools: tuple[Path, Path], venv: Venv, name: str, winner: str
) -> None:
    """SECURITY.md 29: uv installs side by side; 200 files of two wheels came out mixed."""
    lines = []
    for project in ("left-pad", "right-pad"):
        files = {f"shared/{number}.py": f"# {project}".encode() for number in range(200)}
        wheel = make_wheel(Path(venv.links), project, "3.0", files=files)
        lines.append(f"{project}==3.0 --hash=sha256:{sha256_of(wheel)}\n")
    venv.requirements.write_text("".join(lines))
    installer = choose_installer([tool for tool in tools if tool.name.startswith(name)], venv.work)
    make_venv(installer, replace(venv, last=(winner,)))
    assert {path.read_text() for path in venv.path.rglob("shared/*.py")} == {f"# {winner}"}


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_a_wheel_with_other_bytes_is_refused(tools: tuple[Path, Path], venv: Venv, name: str) -> None:
    make_wheel(Path(venv.links), "left-pad", "1.0", files={"left_pad.py": b"evil = True\n"})
    installer = choose_installer([tool for tool in tools if tool.name.startswith(name)], venv.work)
    with pytest.raises(InstallerFailed, match=f"{name} could not install the wheels") as exc_info:
        make_venv(installer, venv)
    assert "hash" in exc_info.value.context().lower()


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_a_wheel_that_is_missing_is_an_error_not_a_download(tools: tuple[Path, Path], venv: Venv, name: str) -> None:
    venv.requirements.write_text(venv.requirements.read_text() + f"numpy==2.0.0 --hash=sha256:{'ab' * 32}\n")
    installer = choose_installer([tool for tool in tools if tool.name.startswith(name)], venv.work)
    with pytest.raises(InstallerFailed) as exc_info:
        make_venv(installer, venv)
    assert "numpy" in exc_info.value.context()


@pytest.mark.group(66)
@pytest.mark.parametrize("name", ["uv", "pip"])
def test_no_setting_of_the_users_is_seen(
    tools: tuple[Path, Path], venv: Venv, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each of these would make the installation fail or come out differently, were it obeyed.
    home = tmp_path / "home"
    for path in (".config/pip/pip.conf", ".pip/pip.conf"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("[install]\ntarget = /nowhere\n")
    (home / ".config/uv").mkdir()
    (home / ".config/uv/uv.toml").write_text("nonsense = ")
    (home / ".pydistutils.cfg").write_text("[install]\nprefix=/nowhere\n")
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted/pip.py").write_text("raise SystemExit('planted')")
    (tmp_path / "planted/usercustomize.py").write_text("raise SystemExit('planted')")
    for key, value in {
        "HOME": str(home),
        "PYTHONPATH": str(tmp_path / "planted"),
        "PYTHONHOME": "/nowhere",
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_TARGET": "/nowhere",
        "UV_INDEX_URL": "http://127.0.0.1:9/",
        "UV_FIND_LINKS": "http://127.0.0.1:9/",
        "UV_PYTHON": "3.6",
        "UV_CONFIG_FILE": str(home / ".config/uv/uv.toml"),
        "http_proxy": "http://127.0.0.1:9/",
    }.items():
        monkeypatch.setenv(key, value)
    make_venv(choose_installer([tool for tool in tools if tool.name.startswith(name)], venv.work), venv)
    monkeypatch.undo()
    assert installed(venv) == "1.0 2.0+cu130"


def test_everything_is_written_below_the_venv_and_the_work_directory(
    tools: tuple[Path, Path], venv: Venv, tmp_path: Path
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    make_venv(choose_installer(tools, venv.work), venv)
    assert {path.name for path in tmp_path.iterdir()} - before == {"venv"}
    assert (venv.work / "uv-cache").is_dir()
    # Hard links from the cache: one copy on the disk.
    (module,) = venv.path.glob("lib/python*/site-packages/left_pad.py")
    assert module.stat().st_nlink == 2
