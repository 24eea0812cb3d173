from __future__ import annotations

from pathlib import Path

import pytest

from mirror.core.cpus import ISAS, held, isa_name, missing, read_flags
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields
from mirror.core.target import ARCHITECTURES, Target


def test_each_level_holds_the_one_before() -> None:
    levels = [ISAS[f"x86-64-v{number}"].flags for number in (1, 2, 3, 4)]
    assert all(one < other for one, other in zip(levels, levels[1:]))
    assert {one.arch for one in ISAS.values()} == set(ARCHITECTURES)


def test_a_processor_has_what_it_lists_every_flag_of() -> None:
    flags = ISAS["x86-64-v3"].flags
    assert held("x86_64", flags) == ("x86-64-v1", "x86-64-v2", "x86-64-v3", "avx", "avx2")
    assert missing("avx512bf16", flags)[:2] == ("avx512_bf16", "avx512bw")
    assert missing("", frozenset()) == ()
    assert held("aarch64", {"sve2", "bf16", "i8mm"}) == ("armv9",)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx avx2\n\nprocessor : 1\nflags : fpu\n", {"fpu", "avx", "avx2"}),
        ("Features\t: fp asimd sve2\n", {"fp", "asimd", "sve2"}),
    ],
)
def test_the_first_processor_is_read(text: str, flags: set[str], tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert read_flags(tmp_path) == frozenset(flags)


def test_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    assert read_flags(tmp_path) is None
    (tmp_path / "cpuinfo").write_text("model name : x\n")
    assert read_flags(tmp_path) is None


def test_a_target_names_an_instruction_set_of_its_architecture() -> None:
    words = {"python": "3.11", "arch": "x86_64", "glibc": "2.28", "cpu": "avx512bf16"}
    assert Target.from_fields(Fields(words, "t")).cpu == "avx512bf16"
    with pytest.raises(InvalidDocument, match="at 'cpu': armv9 is of aarch64, arch says x86_64"):
        Target.from_fields(Fields({**words, "cpu": "armv9"}, "t"))
    with pytest.raises(ValueError, match=r"expected one of x86-64-v1, .*, got 'mmx'"):
        isa_name("mmx")
