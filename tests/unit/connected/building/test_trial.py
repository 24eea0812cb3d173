"""What a carried Python promises is tried, by running it: real archives, made of the Python that runs the tests."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import pytest

from mirror.connected.building.trial import InterpreterUnfit, try_interpreters
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.store import Store
from mirror.connected.planning.plan import Part, Plan
from mirror.core.archives.tarstream import BadArchive
from mirror.core.kinds import INTERPRETER
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.target import Target
from tests.support.interpreters import MINOR, make_interpreter_archive
from tests.support.progress import Heard
from tests.support.wheels import sha256_of

TARGET = Target(MINOR, "x86_64", "2.17")


def tried(archive: Path, store: Store, target: Target = TARGET, progress: Progress = SILENT) -> tuple[str, ...]:
    """What cannot be tried here, of one archive; nothing of it is left in the store."""
    download = Download("https://example.org/python.tar.gz", "python.tar.gz", Sha256Hex(sha256_of(archive)))
    plan = Plan("demo", 1, target, (Part(INTERPRETER, "python", MINOR, download),))
    try:
        return try_interpreters(plan, {download.sha256: archive}, store, progress)
    finally:
        assert not store.root.exists() or {path.name for path in store.root.iterdir()} <= {"tried", "scratch"}
        assert not list((store.root / "scratch").glob("*"))


def small(directory: Path, program: str, name: str = f"python/bin/python{MINOR}") -> Path:
    """An archive with one program in it."""
    path = directory / "small.tar"
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(program), 0o755
        tar.addfile(member, io.BytesIO(program.encode()))
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_interpreter_archive(tmp_path_factory.mktemp("whole"))


def test_one_that_keeps_every_promise_leaves_nothing_to_say_and_is_not_tried_again_by_the_same_compiler(
    whole: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    assert (tried(whole, store, progress=heard), tried(whole, store, progress=heard)) == ((), ())
    assert heard.lines == ["trying python.tar.gz"]
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    assert tried(whole, store, progress=heard) == ()
    assert heard.lines == ["trying python.tar.gz"] * 2
    store.root.chmod(0o777)
    assert tried(whole, Store(store.root), progress=heard) == ()
    assert heard.lines == ["trying python.tar.gz"] * 3


def test_every_promise_that_is_not_kept_is_told_at_once(tmp_path: Path, store: Store) -> None:
    lacking = [f"{name}.{ending}" for name in ("_ssl", "_sqlite3") for ending in _endings()]
    archive = make_interpreter_archive(tmp_path, [*lacking, "venv", "pyconfig.h"])
    with pytest.raises(InterpreterUnfit) as caught:
        tried(archive, store)
    assert str(caught.value) == (
        "python.tar.gz: a carried Python must have ssl; this one says: ModuleNotFoundError: No module named '_ssl' (and 3 more)"
    )
    assert caught.value.promises == ("ssl", "sqlite3", "venv", "extensions")
    assert "must make a venv; this one says: ModuleNotFoundError: No module named 'venv'" in caught.value.context()
    assert (
        "fatal error: pyconfig.h: No such file" in caught.value.words[-1]
        and str(store.root) not in caught.value.words[-1]
    )
    assert "version = 'X.Y' takes python-build-standalone's" in caught.value.hint
    assert "pyconfig.h belong in include/pythonX.Y" in caught.value.hint


def _endings() -> list[str]:
    from importlib.machinery import EXTENSION_SUFFIXES

    return [suffix.removeprefix(".") for suffix in EXTENSION_SUFFIXES]


def test_one_that_runs_on_this_machines_library_is_refused(tmp_path: Path, store: Store) -> None:
    """It would start here, and on no other host."""
    program = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    with pytest.raises(
        InterpreterUnfit, match=r"must run from wherever it is unpacked; this one says: .* takes its library from"
    ):
        tried(small(tmp_path, program), store)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("#!/bin/sh\necho no such thing >&2; exit 3\n", "no such thing"),
        ("#!/bin/sh\nexit 3\n", "it ended with status 3"),
        ('#!/bin/sh\necho \'{"a": 1}\' > "$3"; echo died >&2; exit 1\n', "died"),
        ('#!/bin/sh\nrm "$4/log"; mkfifo "$4/log" "$3"; echo died >&2; exit 1\n', "died"),
        ('#!/bin/sh\nln -sf /dev/zero "$4/log"; ln -s /dev/zero "$3"; echo died >&2; exit 1\n', "died"),
    ],
)
def test_one_that_does_not_start_says_what_it_said(tmp_path: Path, store: Store, program: str, words: str) -> None:
    with pytest.raises(InterpreterUnfit) as caught:
        tried(small(tmp_path, program), store)
    assert caught.value.words == (words,)


def test_one_without_its_program_is_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(
        InterpreterUnfit, match=rf"must start; this one says: there is no bin/python{MINOR} below its top"
    ):
        tried(small(tmp_path, "", "python/bin/python3.0"), store)


def test_an_archive_that_must_not_be_unpacked_is_refused(tmp_path: Path, store: Store) -> None:
    with pytest.raises(BadArchive):
        tried(small(tmp_path, "", "python/../../x"), store)


def test_an_archive_of_another_architecture_is_said_to_be_untried(tmp_path: Path, store: Store) -> None:
    assert tried(small(tmp_path, ""), store, Target(MINOR, "aarch64", "2.17")) == (
        "of python.tar.gz it was not tried whether it can run: it is for Linux on aarch64, this machine is Linux on x86_64",
    )


def test_one_that_needs_a_newer_glibc_than_this_machine_has_is_said_to_be_untried(tmp_path: Path, store: Store) -> None:
    (note,) = tried(
        small(tmp_path, "#!/bin/sh\necho needs GLIBC_2.99; exit 1\n"), store, Target(MINOR, "x86_64", "2.99")
    )
    assert note.endswith(", the target 2.99, and it says: needs GLIBC_2.99")


def test_a_machine_without_a_compiler_and_one_whose_compiler_is_broken_say_so(
    whole: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    untried = "of python.tar.gz it was not tried whether it can compile and import a C extension: this machine"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert tried(whole, store) == (f"{untried} has no C compiler (gcc, clang or cc)",)
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho 'error: no limits.h' >&2\nexit 1\n")
    broken.chmod(0o755)
    assert tried(whole, store) == (f"{untried}'s {broken} compiles no C at all (error: no limits.h)",)
