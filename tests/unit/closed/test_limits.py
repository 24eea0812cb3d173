"""Installing where something is scarce, forbidden, odd or planted: it works, or is refused by name and changes nothing."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mirror.closed.prefix.generations import Prefix
from mirror.closed.preflight import PreflightFailed
from mirror.connected.packing.installer import write_installer
from mirror.core.errors import Unreadable, Unwritable
from tests.support.bundles import SEQUENCE
from tests.support.desk import BASE, Desk, version_in
from tests.support.faults import HOUSE, needs_strace
from tests.support.mounts import needs_mounts
from tests.support.tracing import traced


def mirror(
    desk: Desk,
    *words: str,
    before: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    **changes: object,
) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own.

    Args:
        before: a program that runs it.
    """
    command = [*before, sys.executable, "-m", "mirror.cli.main", *words]
    given = {
        "PATH": os.environ["PATH"], "HOME": str(desk.path / "home"), "MIRROR_HOME": str(desk.path / "trust"),
        "PYTHONPATH": str(HOUSE), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {}),
    }  # fmt: skip
    return subprocess.run(command, env=given, capture_output=True, text=True, **changes)  # type: ignore[call-overload,no-any-return]  # forwarded as they are


def install(desk: Desk, bundle: Path, *words: str) -> list[str]:
    return ["install", str(bundle), "--prefix", str(desk.path / "p"), "--python", str(BASE), *words]


def assert_named(ran: subprocess.CompletedProcess[str]) -> None:
    """It ended well, or with an error that has a name."""
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 0 or (ran.returncode > 2 and re.search(r"^ref: [a-z-]+$", ran.stderr, re.MULTILINE)), (
        ran.stderr
    )
    assert "ref: bug" not in ran.stderr


# -- scarce -----------------------------------------------------------------------------------------------------------------


@pytest.mark.group(49)
def test_a_bundle_is_verified_in_256_mib_of_address_space(desk: Desk) -> None:
    ran = mirror(desk, "verify", str(desk.bundle()), before=["prlimit", f"--as={256 << 20}"])
    assert ran.returncode == 0, ran.stderr


LIMITS = (f"--as={256 << 20}", f"--as={48 << 20}", "--nofile=16", "--nofile=8", "--fsize=4096")


@pytest.mark.group(49)
def test_what_a_limit_forbids_is_named_and_the_old_state_stands(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    codes, there = {}, "1.0"
    for number, limit in enumerate(LIMITS, 1):
        newer = desk.bundle(f"1.{number}", sequence=SEQUENCE + number)
        ran = mirror(desk, *install(desk, newer), before=["prlimit", limit])
        assert_named(ran)
        codes[limit] = ran.returncode
        there = there if ran.returncode else f"1.{number}"
        assert version_in(desk.path / "p") == there
        assert Prefix(desk.path / "p").unfinished() == ()
    assert codes["--nofile=8"] and codes["--fsize=4096"] == Unwritable.exit_code, codes
    assert mirror(desk, *install(desk, desk.bundle("2.0", sequence=SEQUENCE + 9))).returncode == 0
    assert version_in(desk.path / "p") == "2.0"


MOUNTED = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && "$@"; code=$?; ls -A "$0"; ls -A "$0"/gens 2>&1; exit $code'


def in_tmpfs(desk: Desk, options: str, bundle: Path) -> subprocess.CompletedProcess[str]:
    """Install into a file system of its own; what it has left is listed after what it said."""
    (desk.path / "small").mkdir(exist_ok=True)
    prefix = str(desk.path / "small/p")
    words = ["install", str(bundle), "--prefix", prefix, "--python", str(BASE)]
    before = ["unshare", "-rm", "sh", "-c", MOUNTED, prefix, options, str(desk.path / "small")]
    return mirror(desk, *words, before=before)


@needs_mounts
@pytest.mark.group(49)
def test_on_a_disk_of_any_size_it_fits_or_is_refused_and_leaves_nothing(desk: Desk) -> None:
    codes = []
    for size in ("64k", "1m", "16m", "64m", "512m"):
        ran = in_tmpfs(desk, f"size={size}", desk.bundle())
        assert_named(ran)
        codes.append(ran.returncode)
        if ran.returncode:
            assert "COMPLETE" not in ran.stdout and not re.search(r"^\d+-[0-9a-f]{12}", ran.stdout, re.MULTILINE), (
                ran.stdout
            )
    assert codes[0] == PreflightFailed.exit_code
    assert codes[-1] == 0


@needs_mounts
@pytest.mark.group(49)
def test_with_any_number_of_inodes_it_fits_or_is_refused_and_leaves_nothing(desk: Desk) -> None:
    codes = []
    for inodes in (2, 4, 8, 20, 40, 5000):
        ran = in_tmpfs(desk, f"size=512m,nr_inodes={inodes}", desk.bundle())
        assert_named(ran)
        codes.append(ran.returncode)
        if ran.returncode:
            assert not re.search(r"^\d+-[0-9a-f]{12}", ran.stdout, re.MULTILINE), ran.stdout
    assert all(codes[:3])
    assert codes[-1] == 0


# -- forbidden ----------------------------------------------------------------------------------------------------------------


@needs_mounts
@pytest.mark.group(64)
def test_a_disk_from_which_nothing_may_be_run_is_refused_before_writing(desk: Desk) -> None:
    ran = in_tmpfs(desk, "size=512m,noexec", desk.bundle())
    assert ran.returncode == PreflightFailed.exit_code
    assert "mounted noexec" in ran.stderr


@needs_mounts
@pytest.mark.group(58, 64)
def test_a_home_that_may_only_be_read_is_enough_to_install_elsewhere(desk: Desk) -> None:
    bundle = desk.bundle()
    shutil.move(desk.path / "trust", desk.path / "home/mirror")
    read_only = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && "$@"'
    before = ["unshare", "-rm", "sh", "-c", read_only, "sh", str(desk.path / "home")]
    environment = {"MIRROR_HOME": str(desk.path / "home/mirror")}
    ran = mirror(desk, *install(desk, bundle), before=before, environment=environment)
    assert ran.returncode == 0, ran.stderr
    ran = mirror(desk, "install", str(bundle), "--python", str(BASE), before=before, environment=environment)
    assert ran.returncode == PreflightFailed.exit_code or "ref: unwritable" in ran.stderr
    assert_named(ran)


@needs_strace
@pytest.mark.group(60)
def test_a_file_system_without_locks_is_named(desk: Desk) -> None:
    before = ["strace", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:error=ENOLCK"]
    ran = mirror(desk, *install(desk, desk.bundle()), before=before)
    assert ran.returncode == Unwritable.exit_code
    assert f"cannot write {desk.path}/p/.lock: its file system keeps no locks (No locks available)" in ran.stderr


@needs_strace
@pytest.mark.group(57)
def test_a_medium_that_fails_in_the_middle_is_named_with_the_place(desk: Desk) -> None:
    before = [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        "trace=pread64",
        "-P",
        str(desk.bundle()),
        "-e",
        "inject=pread64:error=EIO:when=20+",
    ]
    ran = mirror(desk, *install(desk, desk.bundle()), before=before)
    assert ran.returncode == Unreadable.exit_code
    assert re.search(rf"cannot read {desk.path}/1\.0-\d+\.tar: Input/output error \(at byte \d+\)", ran.stderr)
    assert not (desk.path / "p").exists()


# -- odd ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.group(64)
@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_the_plainest_and_the_oddest_surroundings_are_the_same_to_it(desk: Desk, mask: int) -> None:
    """No terminal, no locale, an odd time zone, any umask, and a home with blanks and letters of several scripts."""
    home = desk.path / "a b" / "h\u00f6me \u65e5\u672c"
    home.mkdir(parents=True)
    environment = {"HOME": str(home), "LANG": "C", "LC_ALL": "C", "TZ": "Pacific/Chatham", "TERM": "dumb"}
    old = os.umask(mask)
    try:
        words = ["install", str(desk.bundle()), "--python", str(BASE)]
        ran = mirror(desk, *words, environment=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    finally:
        os.umask(old)
    assert ran.returncode == 0, ran.stderr
    prefix = home / ".local/share/mirror/demo"
    assert version_in(prefix) == "1.0"
    assert not any(stat.S_IMODE(path.lstat().st_mode) & 0o022 for path in prefix.rglob("*") if not path.is_symlink())


@pytest.mark.group(64)
def test_without_a_standard_output_it_installs_all_the_same(desk: Desk) -> None:
    ran = mirror(desk, *install(desk, desk.bundle()), before=["sh", "-c", 'exec "$@" >&-', "sh"])
    assert ran.returncode == 0, ran.stderr
    assert version_in(desk.path / "p") == "1.0"


# -- planted ------------------------------------------------------------------------------------------------------------------

PLANTED_FILES = (
    ".config/pip/pip.conf", ".pip/pip.conf", ".config/uv/uv.toml", ".netrc", ".pydistutils.cfg", ".pypirc", ".pythonrc",
    ".local/lib/python{minor}/site-packages/usercustomize.py", ".local/lib/python{minor}/site-packages/evil.pth",
    "path/usercustomize.py", "path/sitecustomize.py", "path/pip.py", "path/left_pad.py", "work/uv.toml", "work/pyproject.toml",
    "work/pip.py", "work/left_pad.py", "work/setup.cfg",
)  # fmt: skip

PLANTED_VARIABLES = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_EXTRA_INDEX_URL": "http://127.0.0.1:9/", "PIP_TARGET": "/nowhere",
    "PIP_CONFIG_FILE": "{home}/.pip/pip.conf", "PIP_REQUIRE_VIRTUALENV": "1", "PIP_USER": "1", "UV_INDEX_URL": "http://127.0.0.1:9/",
    "UV_DEFAULT_INDEX": "http://127.0.0.1:9/", "UV_FIND_LINKS": "/nowhere", "UV_CONFIG_FILE": "{home}/.config/uv.toml",
    "UV_PYTHON": "3.6", "UV_OFFLINE": "0", "UV_NO_BINARY": "1", "UV_CACHE_DIR": "/nowhere", "NETRC": "{home}/.netrc",
    "PYTHONSTARTUP": "{home}/.pythonrc", "PYTHONUSERBASE": "{home}/.local", "VIRTUAL_ENV": "/nowhere",
    "CONDA_PREFIX": "/nowhere",
    "http_proxy": "http://127.0.0.1:9/", "https_proxy": "http://127.0.0.1:9/", "all_proxy": "socks5://127.0.0.1:9/",
    "HTTP_PROXY": "http://127.0.0.1:9/", "ALL_PROXY": "http://127.0.0.1:9/", "SSL_CERT_FILE": "/nowhere",
    "LD_LIBRARY_PATH": "{home}/path",
}  # fmt: skip


@needs_strace
@pytest.mark.group(66, 68)
@pytest.mark.parametrize("uv", [True, False])
def test_nothing_that_was_planted_is_even_opened(desk: Desk, uv: bool) -> None:
    """Settings of the user, the place and the environment, for pip, uv and Python: each would change what is installed."""
    home, minor = desk.path / "home", "{}.{}".format(*sys.version_info)
    planted = [home / name.format(minor=minor) for name in PLANTED_FILES]
    for path in planted:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise SystemExit('planted')\n" if path.suffix == ".py" else "nonsense = [\n")
    (home / ".netrc").chmod(0o600)
    installer = desk.path / "mirror.pyz"
    write_installer(installer)
    variables = {name: value.format(home=home) for name, value in PLANTED_VARIABLES.items()}
    variables |= {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "MIRROR_HOME": str(desk.path / "trust"),
        "PYTHONPATH": str(home / "path"),
    }
    log = desk.path / "trace"
    command = [
        "strace",
        "-f",
        "-o",
        str(log),
        "-e",
        "trace=open,openat,connect,execve",
        sys.executable,
        "-I",
        str(installer),
    ]
    command += install(desk, desk.bundle(uv=uv))
    ran = subprocess.run(command, env=variables, cwd=home / "work", capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert version_in(desk.path / "p") == "1.0"
    lines = log.read_text("utf-8", "replace").splitlines()
    assert [line for line in lines if any(f'"{path}"' in line for path in planted)] == []
    assert [line for line in lines if ":9" in line or "htons(9)" in line] == []
    reached = [line for line in lines if "connect(" in line and "AF_INET" in line]
    assert [line for line in reached if "127.0.0.1" not in line] == []


CHANGING = "openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,symlink,symlinkat,link,linkat,truncate"


@needs_strace
@pytest.mark.group(1)
def test_nothing_is_written_under_the_prefix_before_the_last_byte_was_read_and_judged(desk: Desk) -> None:
    """SECURITY.md T2: the end of the archive is what is read last of all."""
    bundle, log = desk.bundle(), desk.path / "trace"
    before = ["strace", "-f", "-y", "-o", str(log), "-e", f"trace=pread64,{CHANGING}"]
    assert mirror(desk, *install(desk, bundle), before=before).returncode == 0
    calls = list(traced(log.read_text("utf-8", "replace").splitlines()))
    place = re.compile(rf"<{re.escape(str(bundle))}>, .*, (\d+)\) = \d+")
    reads = [(call.ended, int(found[1])) for call in calls if (found := place.search(call.text))]
    end = bundle.stat().st_size - 1024
    last = next(number for number, offset in reads if offset == end)
    prefix = re.escape(str(desk.path / "p"))
    below = re.compile(rf'"{prefix}["/]|<{prefix}[>/]')
    changing = [
        call.began for call in calls if below.search(call.text) and ("open" not in call.text or "O_CREAT" in call.text)
    ]
    assert changing, "and then it is"
    assert min(changing) > last
    assert len([offset for number, offset in reads if number < last]) > 10
