"""One wheel, judged before any installer sees it (SECURITY.md rows 21 to 28, 39, 46 and 47)."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.core.binaries.native import Native
from mirror.core.bundle.dossier import Waiver
from mirror.core.bundle.manifest import Artifact
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.vetting import wheel as vetting
from mirror.core.vetting.rules import RULES, judge
from mirror.core.vetting.wheel import Vetted, judge_wheel
from mirror.core.wheels.wheelfile import read_wheel
from tests.support.libraries import THREADS, make_library, needs_newer_glibc
from tests.support.wheels import make_wheel, metadata
from tests.support.zips import Entry, zip_bytes

TARGET = Target("3.11", "x86_64", "2.28")
INFO = "left_pad-1.0.dist-info"
WHEEL = "Wheel-Version: 1.0\nTag: py3-none-any\n"
SITE = "lib/python3.11/site-packages"


def artifact(filename: str = "left_pad-1.0-py3-none-any.whl", directory: str = "wheels", **other: Any) -> Artifact:
    known: dict[str, Any] = {"name": "left-pad", "version": "1.0", **other}
    return Artifact(f"{directory}/{filename}", 0, Sha256Hex("0" * 64), **known)


def record_of(files: Mapping[str, bytes], info: str = INFO, algorithm: str = "sha256") -> str:
    lines = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},{algorithm}={digest},{len(data)}\n")
    return "".join(lines) + f"{info}/RECORD,,\n"


def wheel(
    files: Mapping[str, bytes | None] | None = None,
    record: Callable[[str], str] = lambda text: text,
    info: str = INFO,
    modes: Mapping[str, int] | None = None,
) -> bytes:
    """A sound wheel of left-pad 1.0.

    Args:
        files: further or replacing members; None takes one away.
        record: makes another RECORD of the right one.
    """
    members: dict[str, bytes | None] = {
        "left_pad.py": b"__version__ = '1.0'\n",
        f"{info}/METADATA": metadata("left-pad", "1.0").encode(),
        f"{info}/WHEEL": WHEEL.encode(),
        **(files or {}),
    }
    kept = {name: data for name, data in members.items() if data is not None}
    if f"{info}/RECORD" not in members:
        kept[f"{info}/RECORD"] = record(record_of(kept, info)).encode()
    return zip_bytes([Entry(name, data, mode=(modes or {}).get(name, 0o100644)) for name, data in kept.items()])


def vet(data: bytes, of: Artifact | None = None) -> Vetted:
    found = judge_wheel(read_wheel(io.BytesIO(data)), of or artifact(), TARGET)
    assert {finding.rule for finding in found.findings} <= RULES.keys()
    return found


def rules(data: bytes, of: Artifact | None = None) -> list[str]:
    return [finding.rule for finding in vet(data, of).findings]


def entry_points(*lines: str, group: str = "console_scripts") -> dict[str, bytes | None]:
    return {f"{INFO}/entry_points.txt": "\n".join([f"[{group}]", *lines, ""]).encode()}


def test_a_sound_wheel_has_no_findings_and_its_facts_are_told(tmp_path: Path) -> None:
    path = make_wheel(
        tmp_path, "left-pad", "1.0", requires=["numpy>=2"], scripts={"pad": "left_pad:main"},
        files={"left_pad.py": b"x", "left_pad-1.0.data/scripts/lp": b"#!python\n", "left_pad-1.0.data/data/share/x": b"1"},
    )  # fmt: skip
    found = vet(path.read_bytes())
    assert found.findings == ()
    assert found.scripts == ("lp", "pad")
    assert found.requires == ("numpy>=2",)
    assert found.installed[f"{SITE}/left_pad.py"] == hashlib.sha256(b"x").digest()
    assert {"bin/lp", "bin/pad", "share/x", f"{SITE}/{INFO}/RECORD"} <= found.installed.keys()


def test_the_bytes_of_the_wheel_are_told_as_they_are_looked_at() -> None:
    data, told = wheel(), list[int]()
    read_wheel(io.BytesIO(data), told.append)
    assert 0 < sum(told) < len(data)


@pytest.mark.group(21)
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("../evil.py", "member-path"),
        ("/evil.py", "member-path"),
        ("a//b.py", "member-path"),
        ("./a.py", "member-path"),
        ("a/../../b.py", "member-path"),
        ("C:/evil.py", "member-path"),
        ("a\\b.py", "member-path"),
        ("a\0b", "member-path"),
        ("a\nb", "member-path"),
        ("a\x1bb", "member-path"),
        ("a\x7fb", "member-path"),
        ("a\u202eb.py", "member-name"),
        ("dots./a.py", "member-name"),
        ("a.py ", "member-name"),
        ("x" * 256, "member-name"),
    ],
)  # fmt: skip
def test_row_21_a_name_that_escapes_or_deceives_is_refused(name: str, rule: str) -> None:
    # RECORD agrees, so that nothing but the name is wrong.
    assert rules(wheel({name: b"x"}))[0] == rule


@pytest.mark.group(21)
@pytest.mark.parametrize("pair", [("Read.py", "read.py"), ("caf\u00e9.py", "cafe\u0301.py")])
def test_row_21_names_that_are_one_elsewhere_are_refused(pair: tuple[str, str]) -> None:
    assert rules(wheel(dict.fromkeys(pair, b"x"))) == ["name-clash"]


@pytest.mark.group(22)
def test_row_22_a_file_that_only_a_local_header_names_is_refused() -> None:
    """pip sees the directory, a streaming reader the local headers."""
    entries = [Entry("left_pad.py", b"x"), Entry("evil.pth", b"import evil\n")]
    assert rules(zip_bytes(entries, listed=[0])) == ["zip-structure"]


class _Pipe(io.RawIOBase):
    """Where nothing can be sought: Python's zipfile then writes data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


@pytest.mark.group(23)
def test_row_23_a_data_descriptor_is_refused_unless_waived() -> None:
    files = {
        "left_pad.py": b"x",
        f"{INFO}/METADATA": metadata("left-pad", "1.0").encode(),
        f"{INFO}/WHEEL": WHEEL.encode(),
    }
    written = _Pipe()
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in {**files, f"{INFO}/RECORD": record_of(files).encode()}.items():
            archive.writestr(name, data)
    assert rules(bytes(written.data)) == ["zip-data-descriptor"]
    assert RULES["zip-data-descriptor"].waivable and not RULES["zip-structure"].waivable


@pytest.mark.group(24)
def test_row_24_a_link_is_refused() -> None:
    assert rules(wheel({"link": b"/etc/passwd"}, modes={"link": 0o120777})) == ["member-type"]


def _swapped(text: str) -> str:
    return text.replace(text.split("sha256=")[1][:8], "A" * 8, 1)


@pytest.mark.group(25)
@pytest.mark.parametrize(
    ("files", "record", "rule"),
    [
        ({f"{INFO}/RECORD": None}, str, "record-missing"),
        ({}, lambda text: text + "left_pad.py,,\n", "record-missing"),
        ({}, lambda text: text.replace("left_pad.py", '"left_pad.py'), "record-missing"),
        ({}, _swapped, "record-mismatch"),
        ({}, lambda text: text.replace(",20\n", ",21\n"), "record-mismatch"),
        ({}, lambda text: "\n".join(text.splitlines()[1:]) + "\n", "record-incomplete"),
        ({}, lambda text: "", "record-incomplete"),
        ({}, lambda text: text + "gone.py,,\n", "record-stale"),
        ({}, lambda text: text + "../../../bin/python,,\n", "record-path"),
        ({}, lambda text: text + "/etc/passwd,,\n", "record-path"),
        ({}, lambda text: text.replace("sha256=", "md5=", 1), "record-weak"),
        ({}, lambda text: text.replace("sha256=", "sha1=", 1), "record-weak"),
        ({}, lambda text: text.replace(text.split(",")[1], "", 1), "record-weak"),
    ],
)
def test_row_25_a_record_that_is_not_the_wheels_is_refused(
    files: dict[str, bytes | None], record: Callable[[str], str], rule: str
) -> None:
    assert rules(wheel(files, record)) == [rule]


@pytest.mark.group(25)
def test_row_25_one_finding_tells_of_many_files() -> None:
    found = vet(wheel({"a.py": b"1", "b.py": b"2"}, lambda text: f"{INFO}/RECORD,,\n"))
    assert [finding.what for finding in found.findings] == ["RECORD does not list: 'a.py' and 4 more"]


@pytest.mark.group(25)
def test_row_25_a_stronger_digest_is_held_too() -> None:
    files = {
        "left_pad.py": b"x",
        f"{INFO}/METADATA": metadata("left-pad", "1.0").encode(),
        f"{INFO}/WHEEL": WHEEL.encode(),
    }
    for algorithm in ("sha384", "sha512"):
        text = record_of(files, algorithm=algorithm)
        assert rules(wheel({**files, f"{INFO}/RECORD": text.encode()})) == []
        assert rules(wheel({**files, "left_pad.py": b"y", f"{INFO}/RECORD": text.encode()})) == ["record-mismatch"]


@pytest.mark.group(25)
def test_row_25_directories_need_no_line_and_may_have_one() -> None:
    files = {"pad/": b"", "pad/a.py": b"1"}
    modes = {"pad/": 0o40755}
    bare = wheel(
        files, lambda text: "".join(line + "\n" for line in text.splitlines() if "pad/," not in line), modes=modes
    )
    assert rules(bare) == []
    assert rules(wheel(files, lambda text: text.replace("pad/,", "pad,"), modes=modes)) == []


@pytest.mark.group(25)
@pytest.mark.parametrize("name", ["RECORD.jws", "RECORD.p7s"])
def test_row_25_a_signature_that_nobody_checks_is_refused_and_needs_no_line(name: str) -> None:
    bare = wheel({f"{INFO}/{name}": b"{}"}, lambda text: "".join(f"{x}\n" for x in text.splitlines() if name not in x))
    assert rules(bare) == ["record-signature"]


@pytest.mark.group(26)
@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("../../x = left_pad:main", "entry-point"),
        ("x/y = left_pad:main", "entry-point"),
        (" = left_pad:main", "entry-point"),
        (".. = left_pad:main", "entry-point"),
        ("x y = left_pad:main", "entry-point"),
        ("x = left_pad:main; import os", "entry-point"),
        ("x = left_pad", "entry-point"),
        ("x = left_pad:main\nx = left_pad:other", "entry-point"),
        ("no equals sign", "wheel-format"),
        ("python = left_pad:main", "environment-file"),
        ("python3.11 = left_pad:main", "environment-file"),
        ("pip = left_pad:main", "environment-file"),
        ("pip3 = left_pad:main", "environment-file"),
        ("activate = left_pad:main", "environment-file"),
        ("activate.csh = left_pad:main", "environment-file"),
    ],
)
@pytest.mark.parametrize("group", ["console_scripts", "gui_scripts"])
def test_row_26_a_script_that_leads_elsewhere_or_shadows_is_refused(line: str, rule: str, group: str) -> None:
    assert rules(wheel(entry_points(line, group=group))) == [rule]


@pytest.mark.group(26)
@pytest.mark.parametrize(
    "line", ["pad-it_2.x = left_pad:main", "pad = left_pad.cli:App.run [extra]", "# ../x = y:z", "python-pad = a:b"]
)
def test_row_26_an_ordinary_script_passes(line: str) -> None:
    assert rules(wheel(entry_points(line))) == []


@pytest.mark.group(26)
def test_row_26_the_names_of_plugins_are_no_files() -> None:
    assert rules(wheel(entry_points("any thing/at all = left_pad", group="vllm.plugins"))) == []


@pytest.mark.group(26)
@pytest.mark.parametrize(
    "text",
    [
        "[console_scripts]\n#\u2028[other]\npython = left_pad:main\n",  # a comment, or a group's end and a script of another
        "[console_scripts]\n#\x0c[other]\npython = left_pad:main\n",
        "[other]\n#\r[console_scripts]\npython = left_pad:main\n",
        "[console_scripts] # =\npython = left_pad:main\n",
        "[console_scripts] = []\npython = left_pad:main\n",
    ],
)
def test_row_26_entry_points_that_two_installers_read_differently_are_refused(text: str) -> None:
    assert rules(wheel({f"{INFO}/entry_points.txt": text.encode()})) == ["wheel-format"]


@pytest.mark.group(26)
def test_row_26_entry_points_with_dos_line_ends_are_read() -> None:
    found = vet(wheel({f"{INFO}/entry_points.txt": b"[console_scripts]\r\npad = left_pad:main\r\n"}))
    assert found.scripts == ("pad",) and not found.findings


@pytest.mark.group(26)
def test_row_26_entry_points_that_are_no_text_are_refused() -> None:
    assert rules(wheel({f"{INFO}/entry_points.txt": b"\xff"})) == ["wheel-format"]


@pytest.mark.group(26)
def test_row_26_pip_itself_may_bring_pip() -> None:
    info = "pip-26.0.dist-info"
    files: dict[str, bytes | None] = {
        f"{info}/METADATA": metadata("pip", "26.0").encode(),
        f"{info}/entry_points.txt": b"[console_scripts]\npip3 = pip:main\n",
    }
    of = artifact("pip-26.0-py3-none-any.whl", name="pip", version="26.0")
    assert rules(wheel(files, info=info), of) == []


@pytest.mark.group(27)
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("left_pad-1.0.data/scripts/../x", "member-path"),
        ("left_pad-1.0.data/unknown/x", "data-scheme"),
        ("left_pad-1.0.data/x", "data-scheme"),
        ("other-1.0.data/scripts/x", "data-scheme"),
        ("sitecustomize.py", "startup-hook"),
        ("usercustomize.py", "startup-hook"),
        ("sitecustomize/__init__.py", "startup-hook"),
        ("sitecustomize.cpython-311-x86_64-linux-gnu.so", "startup-hook"),
        ("evil.pth", "startup-hook"),
        (".pth", "startup-hook"),
        (".evil.pth", "startup-hook"),
        ("left_pad-1.0.data/purelib/evil.pth", "startup-hook"),
        ("left_pad-1.0.data/platlib/sitecustomize.py", "startup-hook"),
        ("left_pad-1.0.data/data/lib/python3.11/site-packages/evil.pth", "startup-hook"),
        ("left_pad-1.0.data/data/lib64/python3.11/site-packages/evil.pth", "startup-hook"),
        ("left_pad-1.0.data/data/bin/python", "environment-file"),
        ("left_pad-1.0.data/data/pyvenv.cfg", "environment-file"),
        ("left_pad-1.0.data/scripts/pip", "environment-file"),
    ],
)
def test_row_27_what_python_runs_by_itself_and_what_replaces_it_is_refused(name: str, rule: str) -> None:
    found = vet(wheel({name: b"import evil\n"}))
    assert [finding.rule for finding in found.findings] == [rule]
    if rule == "startup-hook":
        assert found.hooks == (name,) and found.findings[0].subject == name


@pytest.mark.group(27)
@pytest.mark.parametrize(
    "name", ["pad/evil.pth", "sitecustomizer.py", "left_pad-1.0.data/headers/x.h", "sitecustomize/x.py"]
)
def test_row_27_what_only_resembles_a_hook_passes(name: str) -> None:
    assert rules(wheel({name: b"x"})) == []


@pytest.mark.group(27)
@pytest.mark.parametrize("name", ["evil.pth", "left_pad-1.0.data/scripts/python"])
def test_row_27_a_tool_is_not_installed_so_that_its_hooks_never_run(name: str) -> None:
    found = vet(wheel({name: b"x"}), artifact(directory="tool"))
    assert found.findings == () and found.installed == {}


@pytest.mark.group(28)
@pytest.mark.parametrize(
    ("files", "info"),
    [
        ({"other-1.0.dist-info/METADATA": b"x"}, INFO),
        ({"Left_Pad-1.0.dist-info/METADATA": b"x"}, INFO),
        ({}, "other-1.0.dist-info"),
        ({}, "left_pad-2.0.dist-info"),
        ({}, "left_pad.dist-info"),
        ({}, "left_pad-1.0.DIST-INFO"),
    ],
)
def test_row_28_a_dist_info_that_is_not_the_wheels_own_is_refused(files: dict[str, bytes | None], info: str) -> None:
    assert "dist-info" in rules(wheel(files, info=info))


@pytest.mark.group(28)
@pytest.mark.parametrize("info", ["Left.Pad-1.0.dist-info", "left-pad-1.0.0.dist-info"])
def test_row_28_another_spelling_of_the_same_name_passes(info: str) -> None:
    expected = [] if not info.startswith("left-pad") else ["dist-info"]  # a dash ends the name
    assert rules(wheel(info=info)) == expected


@pytest.mark.group(28)
def test_row_28_a_wheel_without_dist_info_is_refused() -> None:
    assert rules(zip_bytes([Entry("a.py")])) == ["dist-info"]


@pytest.mark.group(39, 46)
@pytest.mark.parametrize(
    ("files", "of", "rule"),
    [
        ({f"{INFO}/METADATA": metadata("right-pad", "1.0").encode()}, {}, "wheel-identity"),
        ({f"{INFO}/METADATA": metadata("left-pad", "1.1").encode()}, {}, "wheel-identity"),
        ({}, {"filename": "left_pad-1.1-py3-none-any.whl"}, "wheel-identity"),
        ({}, {"filename": "right_pad-1.0-py3-none-any.whl"}, "wheel-identity"),
        ({f"{INFO}/METADATA": b"Name: left-pad\nName: evil\nVersion: 1.0\n"}, {}, "wheel-format"),
        ({f"{INFO}/METADATA": b"Name: left-pad\n"}, {}, "wheel-format"),
        ({f"{INFO}/METADATA": None}, {}, "wheel-format"),
        ({f"{INFO}/WHEEL": None}, {}, "wheel-format"),
        ({f"{INFO}/WHEEL": b"Wheel-Version: 2.0\nTag: py3-none-any\n"}, {}, "wheel-format"),
        ({f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nTag: py2-none-any\n"}, {}, "wheel-tags"),
        ({f"{INFO}/WHEEL": b"Wheel-Version: 1.0\n"}, {}, "wheel-tags"),
        ({f"{INFO}/WHEEL": b"Wheel-Version: 1.0\nTag: nonsense\n"}, {}, "wheel-tags"),
        ({f"{INFO}/METADATA": metadata("left-pad", "1.0", requires_python=">=3.12").encode()}, {}, "requires-python"),
        ({f"{INFO}/METADATA": metadata("left-pad", "1.0", requires_python="soon").encode()}, {}, "requires-python"),
    ],
)
def test_rows_39_and_46_a_wheel_that_is_another_one_inside_is_refused(
    files: dict[str, bytes | None], of: dict[str, str], rule: str
) -> None:
    assert rules(wheel(files), artifact(**of)) == [rule]


@pytest.mark.group(39)
def test_row_39_epoch_local_version_and_build_tag_are_one_with_their_other_spellings() -> None:
    info = "left_pad-1!2.0+cu.130.dist-info"
    files: dict[str, bytes | None] = {f"{info}/METADATA": metadata("Left.Pad", "1!2.0.0+cu-130").encode()}
    of = artifact("left_pad-1!2.0+cu_130-7build-py3-none-any.whl", version="1!2.0+cu.130")
    assert rules(wheel(files, info=info), of) == []


@pytest.mark.group(40, 46)
@pytest.mark.parametrize("tag", ["cp39-cp39-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_31_x86_64",
                                 "cp311-cp311-musllinux_1_2_x86_64", "cp311-cp311-manylinux_2_17_aarch64",
                                 "cp312-abi3-manylinux_2_17_x86_64"])  # fmt: skip
def test_rows_40_and_46_a_wheel_that_the_target_does_not_take_is_refused(tag: str) -> None:
    data = wheel({f"{INFO}/WHEEL": f"Wheel-Version: 1.0\nTag: {tag}\n".encode()})
    found = vet(data, artifact(f"left_pad-1.0-{tag}.whl"))
    assert [finding.rule for finding in found.findings] == ["wheel-target"]
    assert str(found.findings[0]).endswith(f"it is for {tag}; the target is {TARGET}")


def test_a_name_that_was_cut_to_one_tag_is_the_wheels() -> None:
    tags = "".join(f"Tag: py3-none-manylinux_2_{minor}_x86_64\n" for minor in (17, 28, 34))
    data = wheel({f"{INFO}/WHEEL": f"Wheel-Version: 1.0\n{tags}".encode()})
    assert rules(data, artifact("left_pad-1.0-py3-none-manylinux_2_28_x86_64.whl")) == []
    cut = artifact("left_pad-1.0-py3-none-manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl")
    assert rules(data, cut) == ["wheel-tags"]


@pytest.mark.group(47)
def test_row_47_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vetting, "SMALL_BYTES", 1 << 20)
    found = vet(wheel({"zeros": bytes(2 << 20)}))
    assert [finding.rule for finding in found.findings] == ["zip-size"]
    monkeypatch.setattr(vetting, "SMALL_BYTES", 4 << 20)
    assert rules(wheel({"zeros": bytes(2 << 20)})) == []


@pytest.mark.group(47)
def test_row_47_the_manifest_says_how_much_it_unpacks_to() -> None:
    data = wheel()
    found = vet(data, replace(artifact(), unpacked_size=7))
    assert [finding.rule for finding in found.findings] == ["unpacked-size"]
    assert str(found.findings[0]).endswith("bytes, the manifest says 7")


@pytest.mark.group(47)
def test_row_47_a_member_with_more_than_it_announces_is_refused() -> None:
    entry = Entry("left_pad.py", b"x", packed=Entry("", bytes(9999)).content())
    files = {f"{INFO}/METADATA": metadata("left-pad", "1.0").encode(), f"{INFO}/WHEEL": WHEEL.encode()}
    record = record_of({"left_pad.py": b"x", **files})
    members = [Entry(name, data) for name, data in {**files, f"{INFO}/RECORD": record.encode()}.items()]
    assert rules(zip_bytes([entry, *members])) == ["zip-content"]


def test_setuid_files_are_listed() -> None:
    assert vet(
        wheel({"left_pad-1.0.data/scripts/su": b"x"}, modes={"left_pad-1.0.data/scripts/su": 0o104755})
    ).setuid == ("left_pad-1.0.data/scripts/su",)


def test_two_members_for_one_place_are_refused() -> None:
    assert rules(wheel({"a.py": b"1", "left_pad-1.0.data/purelib/a.py": b"2"})) == ["collision"]
    assert rules(wheel({"a.py": b"1", "left_pad-1.0.data/purelib/a.py": b"1"})) == []
    assert rules(wheel({**entry_points("lp = a:b"), "left_pad-1.0.data/scripts/lp": b"2"})) == ["collision"]


DATA = "left_pad-1.0.data"


@pytest.mark.parametrize(
    ("files", "rule", "what"),
    [
        ({"a/b": b"1", "a/b/c": b"2"}, "zip-content", "'a/b' is a file of it, and a directory of it in 'a/b/c'"),
        (
            {"a": b"1", f"{DATA}/purelib/a/c": b"2"},
            "zip-content",
            f"it installs '{SITE}/a' as a file, and as a directory in '{SITE}/a/c'",
        ),
        (
            {f"{DATA}/data/bin/pad/x": b"1", **entry_points("pad = left_pad:main")},
            "zip-content",
            "it installs 'bin/pad' as a file, and as a directory in 'bin/pad/x'",
        ),
        (
            {f"{DATA}/data/lib": b"1"},
            "zip-content",
            f"it installs 'lib' as a file, and as a directory in '{SITE}/'",
        ),
        (
            {f"{DATA}/scripts/sub/tool": b"1"},
            "data-scheme",
            f"'{DATA}/scripts/sub/tool' is in a directory of scripts, where installers take files only",
        ),
        ({DATA: b"1"}, "data-scheme", f"'{DATA}' is a file where installers expect a directory"),
        ({"any.data": b"1"}, "data-scheme", "'any.data' is a file where installers expect a directory"),
        (
            {f"{INFO}/INSTALLER/x": b"1"},
            "wheel-format",
            f"a directory in the place of a file of .dist-info: '{INFO}/INSTALLER'",
        ),
        (
            {f"{INFO}/METADATA": (metadata("left-pad", "1.0") + "Author: J\u00f6rg\n").encode("latin-1")},
            "wheel-format",
            "its METADATA is not UTF-8: line 4 has the byte 0xf6",
        ),
        (
            {f"{INFO}/WHEEL": WHEEL.encode() + b"Generator: \xe9\n"},
            "wheel-format",
            "its WHEEL is not UTF-8: line 3 has the byte 0xe9",
        ),
        ({"d/" * 1800 + "x.py": b"1"}, "member-name", "a name of more than 3500 bytes"),
    ],
)
def test_what_no_installer_can_lay_out_is_refused(files: dict[str, bytes | None], rule: str, what: str) -> None:
    found = [finding for finding in vet(wheel(files)).findings if finding.rule == rule]
    assert len(found) == 1
    assert found[0].what.startswith(what)


def test_an_empty_directory_among_the_scripts_or_of_no_scheme_is_refused() -> None:
    for name in ("scripts/sub/", "lib/"):
        assert rules(wheel_with_directory(f"{DATA}/{name}")) == ["data-scheme"]
    assert rules(wheel_with_directory(f"{DATA}/scripts/")) == []


def wheel_with_directory(name: str) -> bytes:
    files = {f"{INFO}/METADATA": metadata("left-pad", "1.0").encode(), f"{INFO}/WHEEL": WHEEL.encode()}
    entries = [Entry(path, data) for path, data in {**files, f"{INFO}/RECORD": record_of(files).encode()}.items()]
    return zip_bytes([*entries, Entry(name, mode=0o40755, method=0)])


def test_what_is_no_zip_file_is_one_finding() -> None:
    assert rules(b"no zip") == ["zip-structure"]


@needs_newer_glibc
@pytest.mark.parametrize("directory", ["wheels", "tool"])
def test_a_library_that_needs_a_newer_glibc_than_the_tag_says_is_refused(tmp_path: Path, directory: str) -> None:
    library = make_library(tmp_path / "new.so", source=THREADS).read_bytes()
    data, of = wheel({"pad/_C.so": library, "pad/also.so": library}), artifact(directory=directory)
    found = vet(data, of)
    assert [(finding.rule, finding.subject) for finding in found.findings] == [
        ("glibc-floor", "pad/_C.so"),
        ("glibc-floor", "pad/also.so"),
    ]
    assert found.findings[0].what == "pad/_C.so needs GLIBC_2.34 (pthread_create); the target promises glibc 2.28"
    newer = replace(TARGET, glibc="2.34")
    assert judge_wheel(read_wheel(io.BytesIO(data)), of, newer).findings == ()
    other = replace(newer, arch="aarch64")
    assert judge_wheel(read_wheel(io.BytesIO(data)), of, other).glibc == ()
    built = vet(data, replace(of, origin="built")).findings[0].what
    assert built.endswith("glibc 2.28; it was built here: build it on a system as old as that")


@needs_newer_glibc
def test_a_library_of_many_mebibytes_is_judged_where_it_lies(tmp_path: Path) -> None:
    source = f"{THREADS}\nconst char table[{24 << 20}] = {{1}};\n"
    library = make_library(tmp_path / "large.so", source=source).read_bytes()
    found = vet(wheel({"pad/large.so": library}))
    assert [finding.subject for finding in found.findings] == ["pad/large.so"] and found.unread == ()


def test_a_damaged_library_is_told_and_refuses_nothing() -> None:
    found = vet(wheel({"pad/cut.so": b"\x7fELF\2\1" + bytes(40)}))
    assert found.findings == ()
    assert found.unread == ("pad/cut.so is no sound ELF file: its header has 64 bytes, the file has 46",)


@pytest.mark.group(26)
@pytest.mark.parametrize(
    "name",
    [
        "nvcc", "ptxas", "cicc", "fatbinary", "nvlink", "cuobjdump", "cudafe++", "nvidia-smi", "gcc", "g++", "g++-13", "c++",
        "x86_64-linux-gnu-g++-13", "clang++-18", "ld", "ld.lld", "as", "ar", "strip", "sh", "bash", "env", "perl", "awk",
        "make", "git", "ls", "cat", "[", "test", "sudo", "ssh", "ssh-keygen", "tar", "gzip", "which", "ldconfig", "srun",
        "python3-config", "numactl", "uname", "mirror", "curl", "id",
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", ["left_pad-1.0.data/scripts/{}", "left_pad-1.0.data/data/bin/{}", "entry point"])
def test_row_26_a_script_named_as_a_program_of_the_host_is_found_and_may_be_waived(name: str, way: str) -> None:
    data = wheel(
        entry_points(f"{name} = left_pad:main") if way == "entry point" else {way.format(name): b"#!/bin/true\n"}
    )
    if way == "entry point" and name in (
        "[",
        "c++",
        "g++",
        "g++-13",
        "cudafe++",
        "clang++-18",
        "x86_64-linux-gnu-g++-13",
    ):
        return  # no name of an entry point at all
    (finding,) = vet(data).findings
    assert (finding.rule, finding.subject) == ("host-command", f"bin/{name}")
    assert finding.what == (
        f"its script {name!r} runs in place of the host's or CUDA's program of that name (env.sh puts it first)"
    )
    waiver = ("left-pad", Waiver("host-command", "we want it", "alice", f"bin/{name}"))
    assert judge([finding], [waiver]).open == ()


@pytest.mark.group(26)
@pytest.mark.parametrize(
    "name",
    [
        "vllm", "torchrun", "ninja", "cmake", "uv", "f2py", "hf", "ray", "serve", "tool", "clang-format", "readelf.py", "wheel",
        "python-pad", "pybind11-config", "lsu.py", "my-ls", "gcc.py", "nvcc4jupyter", "coverage-3.11", "size-of", "curl-cffi",
    ],
)  # fmt: skip
def test_row_26_scripts_that_wheels_bring_for_their_own_sake_are_none_of_the_hosts(name: str) -> None:
    assert rules(wheel({f"left_pad-1.0.data/scripts/{name}": b"#!python\n"})) == []


def test_a_program_below_the_package_is_in_nobodys_path() -> None:
    assert rules(wheel({"left_pad/bin/nvcc": b"elf", "left_pad-1.0.data/data/share/bin/sh": b"#!/bin/true\n"})) == []


@pytest.mark.group(27)
@pytest.mark.parametrize(
    ("source", "compiled"),
    [
        ("a/b.py", "a/__pycache__/b.cpython-311.pyc"),
        ("a/b.py", "a/__pycache__/b.cpython-311.opt-1.pyc"),
        ("a/b.py", "a/b.pyc"),
        ("a/b.py", "a/b.pyo"),
        ("left_pad.py", "__pycache__/left_pad.cpython-39.pyc"),
        ("left_pad-1.0.data/purelib/c.py", "left_pad-1.0.data/purelib/__pycache__/c.cpython-311.pyc"),
    ],
)
def test_row_27_compiled_python_beside_its_source_is_found_and_may_be_waived(source: str, compiled: str) -> None:
    (finding,) = vet(wheel({source: b"x = 1\n", compiled: b"\xa7\r\r\n" + bytes(12)})).findings
    assert (finding.rule, finding.subject) == ("bytecode", compiled)
    assert finding.what == f"Python may run {compiled} in place of {source}"
    assert judge([finding], [("left-pad", Waiver("bytecode", "read", "alice"))]).open == ()


def test_compiled_python_of_which_there_is_no_source_hides_none() -> None:
    assert rules(wheel({"a/b.pyc": b"x", "a/__pycache__/b.cpython-311.pyc": b"x", "c.pyc": b"x"})) == []


def test_compiled_python_of_everything_is_told_in_few_lines() -> None:
    files = {
        f"a/{name}": b"x"
        for number in range(50)
        for name in (f"m{number}.py", f"__pycache__/m{number}.cpython-311.pyc")
    }
    found = vet(wheel(files)).findings
    assert [finding.rule for finding in found] == ["bytecode"] * 9
    assert found[-1].what.endswith(" and 41 more")


def test_gpu_code_that_cannot_be_read_is_found_by_whoever_reads_it(tmp_path: Path) -> None:
    native = Native(count=1, gpu_faults=("a/_C.so is no sound ELF file: it has GPU code for an architecture 7",))
    read = replace(read_wheel(io.BytesIO(wheel())), native=native)
    (finding,) = judge_wheel(read, artifact(), TARGET).findings
    assert (finding.rule, finding.what) == (
        "gpu-code",
        "nobody knows which GPUs it is for: 'a/_C.so is no sound ELF file: it has GPU code for an architecture 7'",
    )
