"""A project of no index: from an archive that git made of a commit, with its submodule, to wheel, papers and refusals."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mirror.cli.main import main
from mirror.connected.bundle import BundleOptions, bundle
from mirror.connected.fetching.store import Store
from mirror.connected.pins.requirements import parse_lock
from mirror.connected.planning.wishes import Wishes
from mirror.core.trust.truststore import TrustStore
from tests.support.bundles import make_pip_wheel, make_uv_wheel
from tests.support.index import LoopbackIndex
from tests.support.wheels import IN_TREE_BACKEND, make_sdist, make_wheel, metadata, sha256_of

PYTHON = "{}.{}".format(*sys.version_info)
PROJECT = '[project]\nname = "Left.Pad"\nversion = "2.0"\ndependencies = ["helper>=1"]\n'
BUILD = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
READ = (
    "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
    "    seen = pathlib.Path('../third-party/fmt/fmt.h').read_text(), pathlib.Path('setting.py').read_text()\n"
    "    VERSION = os.environ['SETUPTOOLS_SCM_PRETEND_VERSION']\n"
    "    pathlib.Path(NAME + '.py').write_text(repr(seen))\n"
)
"""A build that reads a submodule outside its own directory, and goes by git's version, which is stated."""


def git(directory: Path, *words: object) -> str:
    settings = ("user.name=a", "user.email=a@b.example", "protocol.file.allow=always", "commit.gpgsign=false")
    command = ["git", *(word for one in settings for word in ("-c", one)), *map(str, words)]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def commit(directory: Path, files: dict[str, str], *submodules: tuple[Path, str]) -> str:
    """A repository of one commit; gives that."""
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    git(directory, "init", "-q")
    for source, place in submodules:
        git(directory, "submodule", "add", "-q", source, place)
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", "one")
    return git(directory, "rev-parse", "HEAD")


@dataclass
class Forge:
    """A server with archives of commits and an index, and a builder's directory."""

    path: Path
    index: LoopbackIndex
    tools: dict[str, bytes] = field(default_factory=dict)

    @property
    def stack(self) -> Path:
        return self.path / "lockfiles" / "pads.toml"

    def archive(self, repository: Path, revision: str) -> tuple[str, str]:
        """What the server gives for a commit: its address and digest."""
        made = self.path / f"{revision}.tar.gz"
        git(repository, "archive", "--format=tar.gz", f"--prefix={repository.name}-{revision}/", "-o", made, revision)
        return self.offer(made)

    def offer(self, made: Path) -> tuple[str, str]:
        return self.index.serve(f"/archive/{made.name}", made.read_bytes()), sha256_of(made)

    def write(self, archive: str, requirement: str = "left-pad==2.0", more: str = "") -> None:
        self.stack.write_text(
            f'[target]\npython = "{PYTHON}"\narch = "x86_64"\nglibc = "2.28"\n\n'
            f'[python]\nrequirements = ["{requirement}"]\nbuild = ["left-pad"]\ncutoff = "2027-01-01T00:00:00Z"\n\n'
            f'[indexes]\ndefault = "{self.index.url}"\n\n[build.left-pad]\n{more}\n[build.left-pad.archive]\n{archive}'
        )

    def pack(self, name: str, files: dict[str, str | None]) -> tuple[str, str]:
        """A tar of these files below one top directory; None makes a link out of it, a ``/`` at the end nothing."""
        made = self.path / name
        with tarfile.open(made, "w:gz") as tar:
            for path, text in files.items():
                member = tarfile.TarInfo(f"top/{path}")
                if text is None:
                    member.type, member.linkname = tarfile.SYMTYPE, "../../etc/passwd"
                else:
                    member.size = len(text)
                tar.addfile(member, io.BytesIO((text or "").encode()))
        return self.offer(made)


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "lockfiles").mkdir()
    with LoopbackIndex() as index:
        yield Forge(tmp_path, index)


def typed(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> Any:
    capsys.readouterr()
    ended = main([*map(str, words), "--json"])
    out, err = capsys.readouterr()
    assert ended == code, err
    return json.loads(out)


def test_a_project_of_no_index_is_built_from_a_commit(forge: Forge, capsys: pytest.CaptureFixture[str]) -> None:
    fmt, pad = forge.path / "fmt", forge.path / "pad"
    inner = forge.archive(fmt, commit(fmt, {"fmt.h": "fmt"}))
    backend = IN_TREE_BACKEND.format(
        name="left_pad", version="2.0", metadata=metadata("left-pad", "2.0", ["helper>=1"])
    )
    signature = "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
    files = {
        "README.md": "pads",
        "python/pyproject.toml": PROJECT.replace('version = "2.0"', 'dynamic = ["version"]') + BUILD,
        "python/backend.py": backend.replace(signature, READ),
        "python/setting.py": "gpus = 'all'\n",
    }
    revision = commit(pad, files, (fmt, "third-party/fmt"))
    url, digest = forge.archive(pad, revision)
    forge.index.add(make_wheel(forge.path, "helper", "1.5"))
    tools = [make_uv_wheel(forge.path), make_pip_wheel(forge.path)]
    for tool in tools:
        forge.index.add(tool)
    (forge.stack.parent / "one.diff").write_text(
        "--- a/python/setting.py\n+++ b/python/setting.py\n@@ -1 +1 @@\n-gpus = 'all'\n+gpus = '9.0a'\n"
    )
    archive = (
        f'url = "{url}"\nsha256 = "{digest}"\ndirectory = "python"\n'
        f'submodules = [{{ to = "third-party/fmt", url = "{inner[0]}", sha256 = "{inner[1]}" }}]\n'
    )
    forge.write(archive, more='patches = ["one.diff"]\n')

    typed(capsys, "lock", forge.stack)
    lock = forge.stack.with_suffix(".txt").read_text()
    assert f"left-pad==2.0 \\\n    --hash=sha256:{digest}\n" in lock and "helper==1.5" in lock
    assert not any(one["changed"] for one in typed(capsys, "lock", forge.stack)["files"])

    (job,) = typed(capsys, "build", forge.stack, "--locked", "--verify-builds", "1")["jobs"]
    assert job["verified"] is True
    with zipfile.ZipFile(job["wheel"]) as wheel:
        assert wheel.read("left_pad.py").decode() == repr(("fmt", "gpus = '9.0a'\n"))
    said = json.loads(Path(job["wheel"]).with_name("build.json").read_text())
    assert (said["sdist"], said["sdist_sha256"]) == (f"{revision}.tar.gz", digest)
    assert said["archive"]["directory"] == "python" and said["archive"]["submodules"][0]["sha256"] == inner[1]

    lines = "".join("{}=={} --hash=sha256:{}\n".format(*one.name.split("-")[:2], sha256_of(one)) for one in tools)
    wishes = Wishes(forge.stack.with_suffix(".txt"), locked=True, tools=parse_lock(lines.encode(), "tools.txt"))
    made = bundle(BundleOptions(wishes, forge.path / "b.tar"), Store.default(), TrustStore(forge.path / "keys"))
    with tarfile.open(made.path) as tar:
        papers = {name: json.loads(tar.extractfile(name).read()) for name in tar.getnames() if name.endswith(".json")}  # type: ignore[union-attr]
    component = next(one for one in papers["meta/sbom.cdx.json"]["components"] if one["name"] == "left-pad")
    (ancestor,) = component["pedigree"]["ancestors"]
    assert ancestor["hashes"][0]["content"] == digest and ancestor["externalReferences"][0]["url"] == url
    assert component["purl"] == ancestor["purl"]
    assert ancestor["purl"].startswith("pkg:pypi/left-pad@2.0?download_url=http") and revision in ancestor["purl"]
    materials = papers["meta/provenance.intoto.json"]["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {one["digest"]["sha256"]: one.get("uri") for one in materials}.items() >= {
        digest: url,
        inner[1]: inner[0],
    }.items()

    forge.write(archive.replace(digest, "0" * 64), more='patches = ["one.diff"]\n')
    outdated = typed(capsys, "build", forge.stack, "--locked", code=58)["error"]
    assert outdated["ref"] == "lock-outdated" and f"has {'0' * 64} for left-pad" in outdated["message"]
    refused = typed(capsys, "lock", forge.stack, code=72)["error"]
    assert refused["ref"] == "download-mismatch" and digest in refused["message"]


BAD: list[tuple[dict[str, str | None], str, str]] = [
    (
        {"python/pyproject.toml": PROJECT, "README": ""},
        "",
        "there is no pyproject.toml and no setup.py in its top directory, but README, python: directory in "
        "[build.left-pad.archive] names the one that has them",
    ),
    (
        {"pyproject.toml": PROJECT.replace("2.0", "2.1")},
        "",
        "it says it is left-pad 2.1; NAME.toml asks for left-pad 2.0",
    ),
    (
        {"pyproject.toml": PROJECT.replace("Left", "Right")},
        "",
        "it says it is right-pad 2.0; NAME.toml asks for left-pad 2.0",
    ),
    (
        {"setup.py": ""},
        "",
        "its dependencies are known only to whoever runs its code: write them into [build.left-pad.archive], "
        'dependencies = ["..."], or [] for none; its setup.py or setup.cfg names them',
    ),
    (
        {"pyproject.toml": PROJECT},
        "dependencies = []",
        "[project] of its pyproject.toml names its dependencies: leave out those in [build.left-pad.archive]",
    ),
    ({"setup.py": "", "passwd": None}, "", "'top/passwd' is a link out of the archive, to '../../etc/passwd'"),
    (
        {"pyproject.toml": PROJECT},
        'directory = "python/pad"',
        "there is no python/pad in its top directory, but pyproject.toml: directory in [build.left-pad.archive] names",
    ),
    ({"pyproject.toml": "[project"}, "", "its description cannot be read: "),
    ({"pyproject.toml": PROJECT + 'requires-python = "three"\n'}, "", "its description cannot be read: "),
]


def test_an_archive_that_is_not_the_projects_is_named_with_what_to_write(
    forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (files, more, problem) in enumerate(BAD):
        url, digest = forge.pack(f"c{number}.tar.gz", files)
        forge.write(f'url = "{url}"\nsha256 = "{digest}"\n{more}')
        error = typed(capsys, "lock", forge.stack, code=7)["error"]
        assert error["ref"] == "invalid-source", error
        assert error["message"].startswith(f"c{number}.tar.gz: ") and problem in error["message"]
    url, digest = forge.pack("extra.tar.gz", {"pyproject.toml": PROJECT})
    forge.write(f'url = "{url}"\nsha256 = "{digest}"\n', requirement="left-pad[gpu]==2.0")
    error = typed(capsys, "lock", forge.stack, code=7)["error"]
    assert "it does not say what its extra 'gpu' needs: ask for that itself, in requirements" in error["message"]
    assert not forge.stack.with_suffix(".txt").exists()


def test_what_another_build_needs_is_built_first_in_a_stack_of_its_own(
    forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """A torch of one's own, and what is compiled against it: refused in one stack, and the way round is what the hint says."""
    backend = IN_TREE_BACKEND.format(name="left_pad", version="2.0", metadata=metadata("left-pad", "2.0"))
    project = PROJECT.replace('dependencies = ["helper>=1"]\n', "")
    url, digest = forge.pack(
        "pad.tar.gz", {"pyproject.toml": project + BUILD, "backend.py": backend, "left_pad.py": "MADE = 'here'\n"}
    )
    archive = f'url = "{url}"\nsha256 = "{digest}"\n'
    signature = "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
    uses = "    import left_pad\n    pathlib.Path('cross.py').write_text(left_pad.MADE)\n"
    forge.index.add(
        make_sdist(
            forge.path,
            "cross",
            "1.0",
            build_requires=["left-pad"],
            backend=IN_TREE_BACKEND.format(name="cross", version="1.0", metadata=metadata("cross", "1.0")).replace(
                signature, signature + uses
            ),
        )
    )
    forge.write(archive)
    alone = forge.stack.read_text()
    both = alone.replace('"left-pad==2.0"]', '"left-pad==2.0", "cross==1.0"]')
    forge.stack.write_text(both.replace('build = ["left-pad"]', 'build = ["left-pad", "cross"]'))
    error = typed(capsys, "lock", forge.stack, code=6)["error"]
    assert error["ref"] == "no-wheel-to-build-with"
    assert error["message"] == (
        "what pads.toml builds is built with wheels alone, and left-pad is built from an archive here"
    )

    forge.stack.write_text(alone)
    typed(capsys, "lock", forge.stack)
    (made,) = typed(capsys, "build", forge.stack, "--locked")["jobs"]
    (forge.path / "made").mkdir()
    Path(made["wheel"]).rename(forge.path / "made" / Path(made["wheel"]).name)
    settings = both.partition("[build.left-pad]")[0].replace('build = ["left-pad"]', 'build = ["cross"]')
    forge.stack.write_text(
        f'{settings}made = {{ find-links = "{(forge.path / "made").as_uri()}" }}\n[python.index]\nleft-pad = "made"\n'
    )
    (too_late,) = [typed(capsys, "lock", forge.stack, code=52)["error"]["message"]]
    assert too_late == (
        "left-pad 2.0 has no file that its index dates before the cutoff; target pads has [python].cutoff 2027-01-01, and a "
        "page of links gives no dates"
    )
    forge.stack.write_text(forge.stack.read_text().replace('cutoff = "2027-01-01T00:00:00Z"\n', ""))
    typed(capsys, "lock", forge.stack)
    for ending in (".txt", ".build.txt"):
        assert f"left-pad==2.0 \\\n    --hash=sha256:{made['sha256']}\n" in forge.stack.with_suffix(ending).read_text()
    (job,) = typed(capsys, "build", forge.stack, "--locked")["jobs"]
    with zipfile.ZipFile(job["wheel"]) as wheel:
        assert wheel.read("cross.py") == b"here"


def test_what_builds_need_without_a_wheel_is_named_with_the_way_round(
    forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    """To add it to [python].build, as is said of what is installed, would not help here."""
    url, digest = forge.pack("pad.tar.gz", {"pyproject.toml": PROJECT.replace('"helper>=1"', "") + BUILD})
    for offered in (
        make_sdist(forge.path, "left-left", "1.0"),
        make_wheel(forge.path, "left-left", "2.0", tag="cp27-cp27m-win32"),
    ):
        forge.index.add(offered)
        forge.write(f'url = "{url}"\nsha256 = "{digest}"\n', more='requires = ["left-left"]')
        error = typed(capsys, "lock", forge.stack, code=6)["error"]
        assert (error["ref"], error["message"]) == (
            "no-wheel-to-build-with",
            "what pads.toml builds is built with wheels alone, and left-left has no wheel for the target",
        )
        assert "[python.index] PROJECT" in error["hint"]
