"""``mirror verify --deep``: what the builder's gate saw is seen again in the bundle itself (SECURITY.md 2.3, rows 25 to 34)."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.core.bundle.dossier import PATH, Dossier, FileFacts, Waiver
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import InvalidDocument
from mirror.core.kinds import RPM
from mirror.review.report.deep import Deep, NotWaived, look_deep
from mirror.review.report.inventory import take_inventory
from tests.support.bundles import BundleSimulator, this_machine
from tests.support.keys import trust_store
from tests.support.libraries import THREADS, make_library, needs_newer_glibc
from tests.support.rpms import Packager, ed25519_key, toolkit
from tests.support.wheels import make_wheel

HOOKED = "wheels/hooked-1.0-py3-none-any.whl"
WAIVER = Waiver("startup-hook", "it is ours", "alice", "hooked.pth")


@pytest.fixture
def simulator(tmp_path: Path) -> BundleSimulator:
    made = BundleSimulator()
    made.add_wheel(make_wheel(tmp_path / "w", "alpha", "1.0", requires=['hooked[more]; extra == "all"', "hooked"]))
    made.add_wheel(make_wheel(tmp_path / "w", "uv", "1.0"), "tool")
    return made


def add_hooked(simulator: BundleSimulator, tmp_path: Path, *waivers: Waiver, **facts: tuple[str, ...]) -> None:
    """A wheel with a start-up hook, and a dossier that speaks of everything."""
    files = {"hooked.pth": b"import os\n", "hooked.py": b""}
    scripts = {"hooked": "hooked:main"}
    simulator.add_wheel(make_wheel(tmp_path / "w", "hooked", "1.0", files=files, scripts=scripts))
    known: dict[str, tuple[str, ...]] = {"hooks": ("hooked.pth",), "scripts": ("hooked",), **facts}
    said = [
        FileFacts("tool/uv-1.0-py3-none-any.whl", "tool"),
        FileFacts("wheels/alpha-1.0-py3-none-any.whl", "wheel"),
        FileFacts(HOOKED, "wheel", waivers=waivers, **known),  # type: ignore[arg-type]
    ]
    simulator.add(PATH, Dossier(("alpha==1.0",), (), tuple(said)).encode())


def look(simulator: BundleSimulator, tmp_path: Path) -> Deep:
    with open_bundle(simulator.write(tmp_path / "b.tar")) as bundle:
        take_inventory(bundle, simulator.root, complete=True)
        return look_deep(bundle)


def test_a_waiver_in_the_dossier_covers_what_it_names(simulator: BundleSimulator, tmp_path: Path) -> None:
    add_hooked(simulator, tmp_path, WAIVER)
    deep = look(simulator, tmp_path)
    assert deep.judgement.open == ()
    assert [(finding.rule, waiver) for finding, (_, waiver) in deep.judgement.waived] == [("startup-hook", WAIVER)]
    files = [name for path in (tmp_path / "w").glob("*.whl") for name in zipfile.ZipFile(path).namelist()]
    assert deep.wheels == (3, len(files))
    facts = deep.to_dict()
    assert facts["open"] == [] and facts["waived"][0]["by"] == "alice"
    assert facts["waived"][0]["path"] == HOOKED


def test_without_a_waiver_the_finding_is_open(simulator: BundleSimulator, tmp_path: Path) -> None:
    add_hooked(simulator, tmp_path, replace(WAIVER, subject="other.pth"))
    (finding,) = look(simulator, tmp_path).judgement.open
    assert str(finding) == "hooked-1.0-py3-none-any.whl: Python runs hooked.pth whenever it starts"


def test_a_bundle_without_a_dossier_has_no_waivers_and_says_so(simulator: BundleSimulator, tmp_path: Path) -> None:
    deep = look(simulator, tmp_path)
    assert [finding.rule for finding in deep.judgement.open] == ["requires-unmet"]
    assert deep.notes[-1] == "it carries no dossier, and so no waivers: it was made by an older mirror"


def test_what_the_dossier_is_silent_about_is_refused(simulator: BundleSimulator, tmp_path: Path) -> None:
    add_hooked(simulator, tmp_path, WAIVER, hooks=(), scripts=())
    assert [finding.what for finding in look(simulator, tmp_path).judgement.open] == [
        "the dossier does not name its start-up hook 'hooked.pth'",
        "the dossier does not name its script 'hooked'",
    ]


def test_an_artifact_that_the_dossier_does_not_speak_of_is_refused(simulator: BundleSimulator, tmp_path: Path) -> None:
    add_hooked(simulator, tmp_path, WAIVER)
    simulator.add_wheel(make_wheel(tmp_path / "w", "beta", "1.0"))
    (finding,) = look(simulator, tmp_path).judgement.open
    assert str(finding) == "beta-1.0-py3-none-any.whl: the dossier does not speak of it"


def test_the_extras_of_the_dossiers_requirements_count(simulator: BundleSimulator, tmp_path: Path) -> None:
    add_hooked(simulator, tmp_path, WAIVER)
    simulator.add_wheel(make_wheel(tmp_path / "w", "alpha", "1.0", requires=['gone; extra == "all"'], extras=["all"]))
    assert look(simulator, tmp_path).judgement.open == ()
    with open_bundle(tmp_path / "b.tar") as bundle:
        bundle.trust(simulator.root)
        artifact = bundle.manifest.find(PATH)
        assert artifact is not None
        dossier = Dossier.parse(bundle.read(artifact))
    simulator.add(PATH, replace(dossier, requirements=("alpha[all]==1.0",)).encode())
    (finding,) = look(simulator, tmp_path).judgement.open
    assert finding.subject == "gone"


def _with_rpms(tmp_path: Path, pinned: Packager, signed: Packager) -> BundleSimulator:
    simulator = BundleSimulator(target=this_machine(gpu="sm_90a", cuda="13.0"))
    (tmp_path / "rpms").mkdir()
    simulator.add_rpms(sorted(toolkit(tmp_path / "rpms", signed)), signed.armored + pinned.armored, pinned.fingerprint)
    return simulator


@pytest.mark.group(34)
def test_row_34_rpms_are_judged_by_their_vendors_signature(tmp_path: Path) -> None:
    vendor = Packager()
    deep = look(_with_rpms(tmp_path, vendor, vendor), tmp_path)
    assert deep.judgement.open == () and deep.packages == 4


@pytest.mark.group(35)
def test_row_35_rpms_of_another_key_are_refused_though_the_builder_signed_the_bundle(tmp_path: Path) -> None:
    deep = look(_with_rpms(tmp_path, Packager(), Packager(ed25519_key(2))), tmp_path)
    assert {finding.rule for finding in deep.judgement.open} == {"package"}
    assert len(deep.judgement.open) == 4
    with pytest.raises(NotWaived) as exc_info:
        deep.enforce(tmp_path)
    assert exc_info.value.hint.endswith("Nobody can waive package.")
    told = [*str(exc_info.value).splitlines(), *exc_info.value.context().splitlines()]
    assert [finding.what in line for finding, line in zip(deep.judgement.open, told)] == [True] * 4


def test_packages_of_which_the_dossier_says_otherwise_are_refused(tmp_path: Path) -> None:
    vendor = Packager()
    simulator = _with_rpms(tmp_path, vendor, vendor)
    paths = [one.path for one in simulator.manifest().of(RPM)]
    said = [FileFacts(path, "rpm", signer=vendor.fingerprint) for path in paths]

    def refused(*facts: FileFacts) -> list[str]:
        simulator.add(PATH, Dossier((), (), facts).encode())
        return [finding.what for finding in look(simulator, tmp_path).judgement.open]

    assert refused(*said) == []
    assert refused(*said[1:]) == ["the dossier does not speak of it"]
    wrong = [replace(said[0], signer="AB" * 20), replace(said[1], signer="")]
    assert refused(*wrong, *said[2:]) == [
        f"the dossier says that {'AB' * 20} signed it; {vendor.fingerprint} did",
        f"the dossier says that nobody signed it; {vendor.fingerprint} did",
    ]


def test_an_interpreter_that_is_no_archive_is_refused(simulator: BundleSimulator, tmp_path: Path) -> None:
    simulator.add("python/python.tar.gz", b"no tar", "python", "3.11")
    rules = [finding.rule for finding in look(simulator, tmp_path).judgement.open]
    assert rules == ["requires-unmet", "package"]


def test_a_dossier_that_is_none_is_refused(simulator: BundleSimulator, tmp_path: Path) -> None:
    simulator.add(PATH, b"{}")
    with pytest.raises(InvalidDocument, match="Dossier invalid"):
        look(simulator, tmp_path)


@pytest.fixture
def trusted(simulator: BundleSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleSimulator:
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "keys"))
    trust_store(tmp_path / "keys", simulator.root)
    return simulator


def test_the_command_shows_what_was_waived_and_fails_for_what_was_not(
    trusted: BundleSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_hooked(trusted, tmp_path, WAIVER)
    path = str(trusted.write(tmp_path / "b.tar"))
    assert main(["verify", path, "--deep"]) == 0
    out = capsys.readouterr().out
    assert "  waived:    startup-hook: hooked-1.0-py3-none-any.whl: Python runs hooked.pth whenever it starts\n" in out
    assert "             alice: it is ours\n" in out
    add_hooked(trusted, tmp_path)
    path = str(trusted.write(tmp_path / "c.tar"))
    assert main(["verify", path]) == 0
    capsys.readouterr()
    assert main(["verify", path, "--deep"]) == 122
    said = capsys.readouterr()
    assert "  REFUSED:   startup-hook: hooked-1.0-py3-none-any.whl" in said.out
    assert (
        f"error: {path}: hooked-1.0-py3-none-any.whl: Python runs hooked.pth whenever it starts [startup-hook]"
        in said.err
    )
    assert main(["verify", path, "--deep", "--json"]) == 122
    told, _ = json.JSONDecoder().raw_decode(capsys.readouterr().out)  # the error follows, as for every command
    assert told["deep"]["open"][0]["subject"] == "hooked.pth"


def test_the_makers_words_do_not_move_the_reviewers_cursor(
    trusted: BundleSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_hooked(trusted, tmp_path, replace(WAIVER, reason="\x1b[2Jfine\nok: \u202eall is well"))
    assert main(["verify", str(trusted.write(tmp_path / "b.tar")), "--deep"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\u202e" not in out and "\nok: " not in out
    assert "alice: \u27e8U+001B\u27e9[2Jfine\n" in out


def test_a_package_whose_programs_need_a_newer_glibc_is_refused_by_the_dossiers_word(tmp_path: Path) -> None:
    vendor = Packager()
    simulator = _with_rpms(tmp_path, vendor, vendor)
    floor = simulator.manifest().target.glibc
    paths = [one.path for one in simulator.manifest().of(RPM)]
    said = [FileFacts(path, "rpm", signer=vendor.fingerprint, glibc=floor) for path in paths]
    simulator.add(PATH, Dossier((), (), (replace(said[0], glibc="2.999"), *said[1:])).encode())
    (finding,) = look(simulator, tmp_path).judgement.open
    assert finding.rule == "glibc-floor"
    assert finding.what == f"it needs glibc 2.999, as the dossier says; the target promises glibc {floor}"
    waived = replace(said[0], glibc="2.999", waivers=(Waiver("glibc-floor", "not run there", "alice"),))
    simulator.add(PATH, Dossier((), (), (waived, *said[1:])).encode())
    assert look(simulator, tmp_path).judgement.open == ()


@needs_newer_glibc
def test_a_wheels_library_is_read_again_and_the_dossier_held_to_it(tmp_path: Path) -> None:
    library = make_library(tmp_path / "new.so", source=THREADS).read_bytes()
    simulator = BundleSimulator(target=replace(this_machine(), glibc="2.31"))
    simulator.add_wheel(make_wheel(tmp_path / "w", "alpha", "1.0", files={"alpha/_C.so": library, "alpha/x.so": CUT}))
    path = "wheels/alpha-1.0-py3-none-any.whl"

    def refused(**facts: object) -> list[str]:
        known = FileFacts(path, "wheel", **facts)  # type: ignore[arg-type]
        simulator.add(PATH, Dossier((), (), (known,)).encode())
        return [finding.what for finding in look(simulator, tmp_path).judgement.open]

    above = "alpha/_C.so needs GLIBC_2.34 (pthread_create); the target promises glibc 2.31"
    assert refused(glibc="2.34") == [above]
    assert refused(glibc="2.4") == [above, "the dossier says that it needs glibc 2.4, its files need 2.34"]
    assert refused() == [above, "the dossier says that it needs glibc -, its files need 2.34"]
    assert refused(glibc="2.34", waivers=(Waiver("glibc-floor", "r", "alice", "alpha/_C.so"),)) == []
    assert look(simulator, tmp_path).notes == (
        "alpha-1.0-py3-none-any.whl: alpha/x.so is no sound ELF file: its header has 64 bytes, the file has 46",
    )


CUT = b"\x7fELF\2\1" + bytes(40)
