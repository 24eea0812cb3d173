from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.contents.filecontents import read_file, stated
from mirror.connected.contents.inside import Contents
from mirror.connected.stack.files import FileWish
from mirror.core.names import Sha256Hex
from tests.unit.core.binaries.test_native import cubin


def test_a_file_is_a_licence_text_or_compiled_or_neither(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"Some licence\n")
    assert read_file(source, "COPYING").texts == (("COPYING", "Some licence\n"),)
    assert read_file(source, "chat.jinja") == Contents()
    source.write_bytes(cubin(0x06005A04))
    assert read_file(source, "kernel").native.gpus == ("sm_90",)
    source.write_bytes(b"")
    assert read_file(source, "empty") == Contents()
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent", "absent")


def test_what_a_person_wrote_of_it_is_told() -> None:
    wish = FileWish("a", "file:///a", Sha256Hex("0" * 64), "a", licence="MIT", summary="A   template")
    found = stated(Contents(texts=(("a", "b"),)), wish)
    assert (found.licence, found.summary, found.texts) == ("MIT", "A template", (("a", "b"),))
