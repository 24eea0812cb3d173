"""What a bundle says about everything that it carries: one artifact of each kind, from the wheel to the interpreter."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.core.bundle.dossier import FileFacts
from mirror.core.progress import Advance
from tests.support.carried import MIT, UPLOADED, Carried

PAPERS = ("meta/dossier.json", "meta/licences.txt", "meta/sbom.cdx.json", "meta/provenance.intoto.json")


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Carried:
    made = Carried(tmp_path_factory.mktemp("carried"))
    made.add_papers()
    return made


def test_every_artifact_outside_meta_has_its_line_in_the_bundles_order(carried: Carried) -> None:
    assert [one.path for one in carried.dossier().files] == [one.path for one in carried.assembly.carried()]
    assert [(one.path.split("/")[0], one.kind) for one in carried.dossier().files] == [
        ("tool", "tool"),
        ("tool", "tool"),
        *[("wheels", "wheel")] * 6,
        *[("rpms", "rpm")] * 2,
        ("python", "interpreter"),
    ]


def test_what_a_publisher_says_of_a_wheel_is_told(carried: Carried) -> None:
    alpha = carried.facts("alpha")
    assert alpha == FileFacts(
        path="wheels/alpha-1.0-py3-none-any.whl",
        kind="wheel",
        summary="The first",
        licence="Apache-2.0 OR MIT",
        licence_files=("alpha-1.0.dist-info/LICENSE", "alpha-1.0.dist-info/NOTICE"),
        homepage="https://alpha.example.org/",  # without what may be a secret
        requires=("beta", "gamma"),  # gamma by the extra that the stack asks for; nothing that is for Windows
        uploaded=UPLOADED,
        scripts=("alpha",),
    )


def test_words_that_are_no_expression_are_told_as_they_are(carried: Carried) -> None:
    beta = carried.facts("beta")
    assert (beta.licence, beta.licence_stated) == ("", "BSD")
    assert (beta.gpus, beta.native) == (("sm_90",), 0)


def test_a_withdrawal_is_told_from_the_lock(carried: Carried) -> None:
    """Not from the index's page: it would change the bytes of a bundle that is made again."""
    assert [(one.path, one.yanked) for one in carried.dossier().files if one.yanked] == [
        (carried.facts("gamma").path, "eats files")
    ]


def test_what_was_built_here_names_its_log_and_its_source(carried: Carried) -> None:
    delta = carried.facts("delta")
    assert (delta.built, delta.source_sha256) == ("meta/build-delta.log", carried.sdist.sha256)
    assert delta.uploaded == 0
    assert delta.built in carried.assembly.sources


def test_an_rpm_names_its_signer_its_programs_and_what_is_not_run(carried: Carried) -> None:
    nvcc = carried.facts("cuda-nvcc")
    assert nvcc.signer == carried.packager.fingerprint
    assert (nvcc.licence_stated, nvcc.homepage) == ("NVIDIA Proprietary", "https://developer.example.org/")
    assert nvcc.licence_files == ("/usr/share/licenses/cuda-nvcc-13-0/EULA",)
    assert (nvcc.scripts, nvcc.scriptlets) == (("nvcc",), ("posttrans",))
    assert nvcc.requires == ("cuda-crt-13-0",)  # not itself, and not the host's
    assert carried.facts("cuda-crt").requires == ()


def test_an_interpreter_is_looked_into_as_well(carried: Carried) -> None:
    python = carried.facts("cpython")
    assert (python.licence_files, python.setuid) == (("lib/LICENSE.txt",), ("bin/python3.11",))


def test_mirror_itself_is_told_with_its_licence(carried: Carried) -> None:
    project = (Path(__file__).parents[4] / "pyproject.toml").read_text()
    assert f'license = "{carried.facts("mirror.pyz").licence}"' in project


def test_what_was_asked_for_is_told_as_the_stack_and_the_lock_have_it(carried: Carried) -> None:
    dossier = carried.dossier()
    assert dossier.requirements == ("alpha[fast]==1.0", "delta==2.0", "site-only==1.0")
    assert dossier.packages == ("cuda-nvcc-13-0",)
    assert dossier.notes == ("goes without absent",)


def test_of_a_lock_made_elsewhere_the_pins_that_nothing_needs_were_asked_for(tmp_path: Path) -> None:
    carried = Carried(tmp_path)
    carried.without_stack()
    carried.add_papers()
    assert carried.dossier().requirements == ("alpha==1.0", "gamma==1.2", "site-only==1.0", "delta==2.0")


def test_each_licence_text_is_there_once_with_everyone_who_holds_it(carried: Carried) -> None:
    text = carried.bytes("meta/licences.txt").decode()
    named = {f"{one.path}: {name}" for one in carried.dossier().files for name in one.licence_files}
    assert all(line in text.splitlines() for line in named)
    assert text.count(MIT) == 1
    assert "end user\n" in text and "PSF\n" in text


def test_equal_locks_give_equal_papers_from_another_place_with_an_empty_store(carried: Carried, tmp_path: Path) -> None:
    again = Carried(tmp_path)
    again.add_papers()
    for path in PAPERS:
        assert again.bytes(path) == carried.bytes(path), path


def test_nothing_of_this_machine_is_in_them(carried: Carried) -> None:
    for path in PAPERS:
        assert str(carried.directory).encode() not in carried.bytes(path)
        assert b"secret" not in carried.bytes(path)


def test_a_second_run_looks_into_nothing(carried: Carried) -> None:
    class Listening:
        """Notes which work there was."""

        def __init__(self) -> None:
            self.labels: list[str] = []

        def say(self, line: str) -> None:
            pass

        def task(self, label: str, total: int | None = None, unit: str = "B") -> AbstractContextManager[Advance]:
            self.labels.append(label)
            return nullcontext(lambda amount: None)

    first, second = Listening(), Listening()
    store = Store(carried.directory / "another")
    carried.add_papers(store, first)
    carried.add_papers(store, second)
    assert (first.labels, second.labels) == (["look inside"], [])
