"""What other tools and other people's servers hand a builder: each kind is taken, or refused with the step that helps.

The commands are typed as users type them; wheels, locks, indexes and repositories are made here.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.index import LoopbackIndex, LoopbackServer
from tests.support.repos import Rpm, Vendor, write_repository
from tests.support.wheels import make_sdist, make_wheel, sha256_of

TARGET = '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.34"\n'
A, B = "a" * 64, "b" * 64
INICONFIG = "f631c04d2c48c52b84d0d0549c99ff3859c98df65b3101406327ecc7d53fbf12"
"""Of the wheel of iniconfig 2.3.0 on the Python package index."""


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Desk:
    """A builder's directory with an index on the loopback."""

    path: Path
    index: LoopbackIndex

    def mirror(self, *words: object) -> Said:
        environment = {
            **os.environ,
            "MIRROR_HOME": str(self.path / "home"),
            "UV_CACHE_DIR": str(self.path / "uv"),
            "NO_COLOR": "1",
        }
        command = [sys.executable, "-m", "mirror.cli.main", *map(str, words)]
        done = subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True)
        return Said(done.returncode, done.stdout, done.stderr)

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.write_text(text, "utf-8")
        return path

    def stack(self, requirements: str, more: str = "", indexes: str = "") -> None:
        default = f'default = "{self.index.url}"\n'
        self.write(
            "demo.toml", f"{TARGET}[python]\nrequirements = {requirements}\n{more}[indexes]\n{indexes or default}"
        )

    def refused_lock(self, name: str, text: str, *words: object) -> str:
        """What ``mirror bundle`` says of a lock that it refuses."""
        said = self.mirror("bundle", "--dry-run", "--lock", self.write(name, text), *words)
        assert (said.code, said.out) == (50, "")
        assert name in said.err
        return said.err


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with LoopbackIndex() as index:
        yield Desk(tmp_path, index)


# Locks of other tools


def pylock(*packages: str, head: str = "") -> str:
    return f'lock-version = "1.0"\ncreated-by = "somebody"\n{head}\n' + "\n".join(packages)


def package(name: str, digest: str, marker: str = "", more: str = "") -> str:
    said = f"marker = '{marker}'\n" if marker else ""
    wheel = f'{{ url = "https://example.org/{name}-1.0-py3-none-any.whl", hashes = {{ sha256 = "{digest}" }} }}'
    return f'[[packages]]\nname = "{name}"\nversion = "1.0"\n{said}{more}wheels = [{wheel}]\n'


@pytest.mark.index
def test_the_default_groups_of_a_pylock_are_taken_and_the_others_are_told(desk: Desk) -> None:
    wanted = package("iniconfig", INICONFIG, '"default" in dependency_groups').replace("1.0", "2.3.0")
    other = package("pytest", A, '"test" in dependency_groups')
    head = 'default-groups = ["default"]\ndependency-groups = ["default", "test"]\nextras = ["fast"]'
    said = desk.mirror(
        "bundle", "--dry-run", "--json", "--lock", desk.write("pylock.toml", pylock(wanted, other, head=head))
    )
    assert said.code == 0, said.err
    plan = json.loads(said.out)
    files = {item["file"] for item in (*plan["here"], *plan["fetch"])}
    assert any(name.startswith("iniconfig-2.3.0") for name in files)
    notes = "\n".join(plan["notes"])
    assert (
        'pylock.toml: 1 of its 2 pins are for the target (Python 3.11, linux on x86_64); 1 only for "test" in ' in notes
    )
    assert "pylock.toml offers the dependency groups default, test; taken: default" in notes
    assert "pylock.toml offers the extras fast; taken: none (to choose: --extra fast)" in notes


def test_a_group_that_is_asked_for_is_taken_in_place_of_the_default_ones_and_an_unknown_one_is_refused(
    desk: Desk,
) -> None:
    text = pylock(package("a", A, '"dev" in dependency_groups'), head='dependency-groups = ["dev"]\nextras = ["fast"]')
    said = desk.refused_lock("pylock.toml", text)
    assert 'none of its pins (1) is for the target (Python 3.11, linux on x86_64): 1 only for "dev" in ' in said
    assert "hint: Say what is wanted of it with --group or --extra." in said
    said = desk.refused_lock("pylock.toml", text, "--group", "docs", "--extra", "slow")
    assert "it offers no extra 'slow', but fast" in said
    assert "it offers no group 'docs', but dev" in said


def test_a_lock_of_which_nothing_is_for_the_target_is_refused_with_both_sides(desk: Desk) -> None:
    pins = [f'{name}==1.0 ; python_version == "3.12" --hash=sha256:{digest}\n' for name, digest in (("a", A), ("b", B))]
    said = desk.refused_lock("theirs.txt", "".join(pins))
    assert (
        "theirs.txt is no usable lock: none of its pins (2) is for the target (Python 3.11, linux on x86_64): "
        '2 only for python_version == "3.12" (a, b)' in said
    )
    assert (
        "hint: Lock it for that target, or name the machine that the bundle is for: mirror bundle --target FILE.toml."
        in said
    )
    assert "it pins nothing" in desk.refused_lock("empty.txt", "# nothing\n")


def test_a_package_of_a_pylock_that_is_for_another_python_is_refused_by_name(desk: Desk) -> None:
    said = desk.refused_lock("pylock.toml", pylock(package("a", A, more='requires-python = ">=3.13"\n')))
    assert "a==1.0 requires Python >=3.13; the target has Python 3.11" in said


@pytest.mark.index
def test_the_target_of_a_lock_without_a_stack_is_named_by_a_file(desk: Desk) -> None:
    lock = desk.write("theirs.txt", f'iniconfig==2.3.0 ; python_version == "3.12" --hash=sha256:{INICONFIG}\n')
    target = desk.write("h100.toml", TARGET.replace("3.11", "3.12") + '[python]\nrequirements = ["other"]\n')
    said = desk.mirror("bundle", "--dry-run", "--json", "--lock", lock, "--target", target)
    assert said.code == 0, said.err
    plan = json.loads(said.out)
    assert plan["target"]["python"] == "3.12"
    assert any("the bundle is for the one that h100.toml says (Python 3.12" in note for note in plan["notes"])


def test_a_target_beside_a_stack_that_has_one_is_refused(desk: Desk) -> None:
    desk.stack('["a"]')
    lock = desk.write("demo.txt", f"a==1.0 --hash=sha256:{A}\n")
    said = desk.mirror("bundle", "--dry-run", "--lock", lock, "--target", desk.path / "demo.toml")
    assert said.code == 12
    assert "demo.toml beside the lock has a [target] already: leave --target out" in said.err


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("r.txt", f"-e .\na==1 --hash=sha256:{A}\n", "uv export --no-emit-project"),
        ("r.txt", f"-e ./libs/b\na==1 --hash=sha256:{A}\n", "--no-emit-workspace"),
        ("r.txt", f"./libs/b\na==1 --hash=sha256:{A}\n", "--no-emit-local"),
        ("r.txt", f"--index-url https://example.org/simple\na==1 --hash=sha256:{A}\n", "mirror bundle --index-url URL"),
        ("r.txt", f"-i https://example.org/simple\na==1 --hash=sha256:{A}\n", "mirror bundle --index-url URL"),
        ("r.txt", f"--extra-index-url https://example.org/s\na==1 --hash=sha256:{A}\n", "[python.index]"),
        ("r.txt", f"--find-links https://example.org/w\na==1 --hash=sha256:{A}\n", "{ find-links = URL }"),
        ("r.txt", f"--no-binary a\na==1 --hash=sha256:{A}\n", "[python].build of a NAME.toml"),
        ("r.txt", f"-r more.txt\na==1 --hash=sha256:{A}\n", "compile the files together"),
        ("r.txt", f"--trusted-host x\na==1 --hash=sha256:{A}\n", "it says how pip is to be run"),
        ("r.txt", f"a @ git+https://example.org/a --hash=sha256:{A}\n", "--no-emit-package NAME"),
        ("r.txt", "a==1\n", "--generate-hashes"),
        ("pylock.toml", pylock('[[packages]]\nname = "p"\ndirectory = { path = "." }\n'), "uv export --no-emit-project"),
        ("uv.lock", 'version = 1\nrevision = 5\nrequires-python = ">=3.11"\n', "uv export --frozen --no-emit-project"),
        ("poetry.lock", "# This file is automatically @generated by Poetry 2.1.1\n", "poetry export -o requirements.txt"),
        ("renamed.txt", "# This file is automatically @generated by Poetry 2.1.1\n", "poetry export -o requirements.txt"),
        ("pdm.lock", "# This file is @generated by PDM.\n", "pdm export -o requirements.txt"),
        ("Pipfile.lock", '{\n    "_meta": {}\n}\n', "pipenv requirements --hash"),
        ("pixi.lock", "version: 6\nenvironments:\n", "mirror lock NAME.toml"),
        ("conda-lock.yml", "version: 1\n", "mirror lock NAME.toml"),
        ("pyproject.toml", '[project]\nname = "p"\n', "uv pip compile --generate-hashes pyproject.toml"),
    ],
)  # fmt: skip
def test_each_refusal_of_a_foreign_file_names_it_and_what_helps(desk: Desk, name: str, text: str, hint: str) -> None:
    (line,) = [line for line in desk.refused_lock(name, text).splitlines() if line.startswith("hint: ")]
    assert hint in line


# Indexes


class Pages(LoopbackServer):
    """Pages of links, written by hand."""

    def page(self, path: str, *wheels: Path, digest: bool = True, attributes: str = "") -> str:
        links = []
        for wheel in wheels:
            url = self.serve(f"/files/{wheel.name}", wheel.read_bytes())
            links.append(
                f'<a href="{url}{f"#sha256={sha256_of(wheel)}" if digest else ""}" {attributes}>{wheel.name}</a>'
            )
        return self.serve(path, f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode(), "text/html")


@pytest.fixture
def pages() -> Iterator[Pages]:
    with Pages() as server:
        yield server


def test_a_file_of_an_index_without_digests_is_hashed_and_that_is_told(desk: Desk, pages: Pages) -> None:
    wheel = make_wheel(desk.path, "left-pad", "1.0")
    pages.page("/simple/left-pad/", wheel, digest=False)
    desk.stack('["left-pad"]', '[python.index]\nleft-pad = "local"\n', f'local = "{pages.origin}/simple"\n')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 0, said.err
    assert f"--hash=sha256:{sha256_of(wheel)}" in (desk.path / "demo.txt").read_text()
    assert (
        "127.0.0.1 gives no sha256 for left_pad-1.0-py3-none-any.whl: its bytes are hashed now, and trusted from here on"
        in said.err
    )


def test_a_servers_own_listing_of_directories_is_an_index(desk: Desk, pages: Pages) -> None:
    """As nginx writes it: without digests, and with long names cut short."""
    wheel = make_wheel(
        desk.path / "w", "left-pad", "1.0+cu128", tag="cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"
    )
    pages.serve(f"/left-pad/{wheel.name}", wheel.read_bytes())
    href = wheel.name.replace("+", "%2B")
    row = f'<a href="../">../</a>\n<a href="{href}">{wheel.name[:47]}..&gt;</a>   01-Jan-2026 00:00   830\n'
    pages.serve(
        "/left-pad/", f"<html><body><h1>Index of /left-pad/</h1><pre>{row}</pre></body></html>".encode(), "text/html"
    )
    desk.stack('["left-pad"]', indexes=f'default = "{pages.origin}/"\n')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 0, said.err
    assert f"--hash=sha256:{sha256_of(wheel)}" in (desk.path / "demo.txt").read_text()


def test_a_directory_of_wheels_is_a_page_of_links(desk: Desk) -> None:
    wheel = make_wheel(desk.path / "their wheels", "left-pad", "1.0")
    place = wheel.parent.as_uri()
    desk.stack('["left-pad"]', '[python.index]\nleft-pad = "local"\n', f'local = {{ find-links = "{place}" }}\n')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 0, said.err
    assert f"--hash=sha256:{sha256_of(wheel)}" in (desk.path / "demo.txt").read_text()


def test_metadata_that_an_index_lists_and_does_not_have_is_read_from_the_wheel(desk: Desk, pages: Pages) -> None:
    wheels = {
        "left-pad": make_wheel(desk.path / "w", "left-pad", "1.0+cu128", requires=["right-pad>=2"]),
        "right-pad": make_wheel(desk.path / "w", "right-pad", "2.0"),
    }
    for name, wheel in wheels.items():
        pages.page(f"/simple/{name}/", wheel, attributes=f'data-core-metadata="sha256={A}"')
    desk.stack('["left-pad"]', indexes=f'default = "{pages.origin}/simple"\n')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 0, said.err
    assert "right-pad==2.0" in (desk.path / "demo.txt").read_text()
    assert (
        "the index lists right_pad-2.0-py3-none-any.whl.metadata and does not have it: the wheel is asked itself"
        in said.err
    )


def test_an_incomplete_copy_of_an_index_is_called_so(desk: Desk, pages: Pages) -> None:
    wheel = make_wheel(desk.path / "w", "left-pad", "1.0")
    pages.page("/simple/left-pad/", wheel, attributes=f'data-core-metadata="sha256={A}"')
    del pages.files[f"/files/{wheel.name}"]
    desk.stack('["left-pad"]', '[python.index]\nleft-pad = "local"\n', f'local = "{pages.origin}/simple"\n')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 71
    assert "left_pad-1.0-py3-none-any.whl: the server answers 404" in said.err


def test_a_page_of_links_is_told_from_an_index_and_taken_as_what_it_is(desk: Desk, pages: Pages) -> None:
    wheels = [make_wheel(desk.path / "w", name, "1.0") for name in ("left-pad", "right-pad")]
    url = pages.page("/wheels", *wheels)
    desk.stack('["left-pad"]', '[python.index]\nleft-pad = "local"\n', f'local = "{url}"\n')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 51
    assert (
        f"hint: {url} is one page of links, as pip's --find-links reads it, and no simple index: write it into [indexes] as "
        in said.err
    )
    desk.stack('["left-pad"]', '[python.index]\nleft-pad = "local"\n', f'local = {{ find-links = "{url}" }}\n')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 0, said.err
    assert (desk.path / "demo.txt").read_text().count("--hash=") == 1


def test_a_dependency_that_has_only_an_sdist_is_named_with_what_to_write(desk: Desk) -> None:
    desk.index.add(make_wheel(desk.path / "w", "upper", "1.0", requires=["lower==2.*"]))
    desk.index.add(make_sdist(desk.path / "w", "lower", "2.1"))
    desk.index.add(make_sdist(desk.path / "w", "lower", "3.0"))
    desk.stack('["upper"]')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 54
    assert "--no-build" not in said.err
    assert (
        "hint: lower 2.1 has no wheel for this target, but an sdist, which mirror builds: in demo.toml, add 'lower==2.1' to "
        "[python].requirements and 'lower' to [python].build" in said.err
    )
    desk.stack('["upper", "lower==2.1"]', 'build = ["lower"]\n')
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 0, said.err


def test_requirements_that_are_for_other_machines_are_told_and_not_all_of_them_may_be(desk: Desk) -> None:
    desk.index.add(make_wheel(desk.path / "w", "upper", "1.0"))
    desk.stack("""["upper", 'lower; python_version == "3.12"']""")
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 0, said.err
    assert (
        "1 of 2 requirements of demo.toml are for the target (Python 3.11, x86_64, glibc 2.34); left out: lower; "
        in said.err
    )
    desk.stack("""['lower; python_version == "3.12"']""")
    said = desk.mirror("lock", "demo.toml")
    assert said.code == 12
    assert (
        "python.requirements': none of its 1 is for the target (Python 3.11, x86_64, glibc 2.34); left out: lower; "
        in said.err
    )


# RPM repositories


def rpm_stack(desk: Desk, vendor: Vendor) -> None:
    desk.write(
        "demo.toml",
        f'{TARGET}gpu = "sm_90a"\ncuda = "13.0"\n[python]\nrequirements = []\n[indexes]\ndefault = "{desk.index.url}"\n'
        f'[rpms]\nrepository = "https://vendor.invalid/rhel9/x86_64/"\nfingerprints = ["{vendor.fingerprint}"]\n'
        'packages = ["one"]\n',
    )


RPMS = (Rpm("one", requires=("two",)), Rpm("two"), Rpm("two", version="2.0"), Rpm("three"))


@pytest.mark.parametrize("lacking", ["repomd.xml.asc", "repomd.xml.key"])
def test_a_copy_of_a_repository_without_its_signature_is_called_unsigned(desk: Desk, lacking: str) -> None:
    vendor = Vendor()
    rpm_stack(desk, vendor)
    write_repository(desk.path / "copy", RPMS, vendor)
    (desk.path / "copy" / "repodata" / lacking).unlink()
    said = desk.mirror("lock", "demo.toml", "--toolchain-repo", desk.path / "copy")
    assert said.code == 61
    assert f"has no good signature by a pinned key: there is no repodata/{lacking} beside it" in said.err
    assert "copy both from the vendor" in said.err


def test_a_directory_that_is_no_repository_is_called_so(desk: Desk) -> None:
    rpm_stack(desk, Vendor())
    (desk.path / "copy").mkdir()
    said = desk.mirror("lock", "demo.toml", "--toolchain-repo", desk.path / "copy")
    assert said.code == 60
    assert "hint: Name the directory that holds repodata/" in said.err


def test_the_rpms_of_hermetos_lock_are_taken_and_written(desk: Desk) -> None:
    vendor = Vendor()
    rpm_stack(desk, vendor)
    write_repository(desk.path / "copy", RPMS, vendor)
    repository = ("--toolchain-repo", desk.path / "copy")
    said = desk.mirror("lock", "demo.toml", *repository, "--write-rpms-lock", "newest.yaml")
    assert said.code == 0, said.err
    assert "two-2.0-1.x86_64.rpm" in (desk.path / "newest.yaml").read_text()
    theirs = "lockfileVersion: 1\nlockfileVendor: redhat\narches:\n- arch: x86_64\n  packages:\n"
    for rpm in (RPMS[0], RPMS[1], Rpm("hwdata", arch="noarch")):
        digest = hashlib.sha256(rpm.contents).hexdigest()
        host = "cdn.invalid/ubi" if rpm.name == "hwdata" else "vendor.invalid/rhel9/x86_64"
        theirs += (
            f"  - url: https://{host}/{rpm.filename}\n    checksum: sha256:{digest}\n    size: {len(rpm.contents)}\n"
        )
    desk.write("rpms.lock.yaml", theirs)
    said = desk.mirror(
        "lock", "demo.toml", *repository, "--rpms-lock", "rpms.lock.yaml", "--write-rpms-lock", "again.yaml"
    )
    assert said.code == 0, said.err
    assert (
        "only RPMs of rpms.lock.yaml are looked at: 2 of its 3 are of https://vendor.invalid/rhel9/x86_64/; left out, of "
        "other repositories: hwdata-1.0-1.noarch.rpm" in said.err
    )
    locked = (desk.path / "demo.rpms.toml").read_bytes()
    assert b"two-1.0-1.x86_64.rpm" in locked
    assert b"two-2.0-1.x86_64.rpm" not in locked
    said = desk.mirror("lock", "demo.toml", *repository, "--rpms-lock", "again.yaml")
    assert (said.code, (desk.path / "demo.rpms.toml").read_bytes()) == (0, locked)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("redhat", "suse", "at 'lockfileVersion': this mirror reads version 1 of vendor redhat, got 1 of suse"),
        ("x86_64\n", "s390x\n", "at 'arches': no packages for x86_64, but for s390x"),
        ("sha256:", "md5:", "at 'arches[0].packages[0].checksum': expected 'sha256:...', got 'md5:"),
        ("arches:", "arches: [", "not valid YAML"),
        (A, B, "gone from file:"),
    ],
)
def test_what_is_no_usable_rpms_lock_is_named(desk: Desk, old: str, new: str, problem: str) -> None:
    vendor = Vendor()
    rpm_stack(desk, vendor)
    write_repository(desk.path / "copy", RPMS, vendor)
    text = (
        "lockfileVersion: 1\nlockfileVendor: redhat\narches:\n- arch: x86_64\n  packages:\n"
        f"  - url: https://vendor.invalid/rhel9/x86_64/one-1.0-1.x86_64.rpm\n    checksum: sha256:{A}\n"
    )
    desk.write("rpms.lock.yaml", text.replace(old, new))
    said = desk.mirror("lock", "demo.toml", "--toolchain-repo", desk.path / "copy", "--rpms-lock", "rpms.lock.yaml")
    assert said.code in (12, 17)
    assert problem in said.err
    assert not (desk.path / "demo.rpms.toml").exists()


# Wheels that an installer would refuse in the closed network


@pytest.mark.index
@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"demo-1.0.data/scripts/sub/tool": b"#!python\n"},
            "'demo-1.0.data/scripts/sub/tool' is in a directory of scripts",
        ),
        ({"demo/a": b"1", "demo/a/b": b"2"}, "'demo/a' is a file of it, and a directory of it in 'demo/a/b'"),
        ({"demo-1.0.dist-info/direct_url.json/x": b"1"}, "a directory in the place of a file of .dist-info"),
    ],
)
def test_a_wheel_that_uv_would_refuse_is_refused_by_the_builder(
    desk: Desk, files: Mapping[str, bytes], told: str
) -> None:
    desk.index.add(make_wheel(desk.path / "w", "demo", "1.0", files=dict(files)))
    desk.stack('["demo"]', '[python.index]\ndemo = "local"\n', f'local = "{desk.index.url}"\n')
    assert desk.mirror("lock", "demo.toml").code == 0
    said = desk.mirror("bundle", "--lock", "demo.txt")
    assert said.code == 121
    assert f"demo-1.0-py3-none-any.whl: {told}" in said.err
    assert not (desk.path / "bundle.tar").exists()
