from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from mirror.core.bundle.volumes.index import VolumeIndex, volume_of
from mirror.core.errors import InvalidDocument
from mirror.core.names import Sha256Hex

A, B, WHOLE = (Sha256Hex(hashlib.sha256(data).hexdigest()) for data in (b"abc", b"de", b"abcde"))
INDEX = VolumeIndex("my stack.tar", 5, 3, WHOLE, (A, B))
TEXT = f"""\
# mirror-volumes/1: my stack.tar has 5 bytes in volumes of 3, sha256 {WHOLE}
{A}  my stack.tar.001
{B}  my stack.tar.002
"""


def test_it_is_one_text_and_is_read_back() -> None:
    assert INDEX.encode().decode() == TEXT
    assert VolumeIndex.parse(TEXT.encode(), "i") == INDEX


def test_sha256sum_reads_it_too(tmp_path: Path) -> None:
    (tmp_path / "i").write_text(TEXT)
    (tmp_path / "my stack.tar.001").write_bytes(b"abc")
    (tmp_path / "my stack.tar.002").write_bytes(b"xx")
    done = subprocess.run(["sha256sum", "-c", "i"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "my stack.tar.001: OK\nmy stack.tar.002: FAILED\n"
    assert "improperly formatted" not in done.stderr


@pytest.mark.group(12)
@pytest.mark.parametrize(
    ("altered", "words"),
    [
        (TEXT[:-1], "i invalid: it has 1 lines of volumes, its first line tells of 2"),
        (TEXT + "\n", "i invalid: it has 3 lines of volumes, its first line tells of 2"),
        (TEXT.replace("5 bytes", "05 bytes"), "i invalid at 'line 1': expected "),
        (TEXT.replace("5 bytes", "0 bytes"), "i invalid at 'line 1': expected a file's name and 1 to 999 volumes"),
        (
            TEXT.replace("5 bytes", "9" * 30 + " bytes"),
            "i invalid at 'line 1': expected a file's name and 1 to 999 volumes",
        ),
        (TEXT.replace("of 3,", "of 0,"), "i invalid at 'line 1': expected a file's name and 1 to 999 volumes"),
        (TEXT.replace("my stack.tar", "../stack.tar"), "i invalid at 'line 1': expected a file's name"),
        (TEXT.replace("my stack.tar", ".."), "i invalid at 'line 1': expected a file's name"),
        (TEXT.replace("tar.002", "tar.001"), "i invalid at 'line 3': expected "),
        (TEXT.replace(B, B.upper()), "i invalid at 'line 3': expected a sha256 and a volume's name"),
        (
            TEXT.replace("volumes/1", "volumes/2"),
            "i invalid at 'line 1': expected '# mirror-volumes/1: NAME has ...', got ",
        ),
        ("", "i invalid at 'line 1': expected '# mirror-volumes/1: NAME has ...', got ''"),
    ],
)
def test_there_is_no_second_spelling(altered: str, words: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        VolumeIndex.parse(altered.encode(), "i")
    assert str(caught.value).startswith(words)


def test_bytes_that_are_no_text_and_too_many_are_refused() -> None:
    for data in (b"\xff", b"#" * (1 << 20)):
        with pytest.raises(InvalidDocument):
            VolumeIndex.parse(data, "i")


def test_the_name_of_a_volume_tells_its_file() -> None:
    assert volume_of("a.tar.012") == ("a.tar", 12)
    assert [volume_of(name) for name in ("a.tar", ".001", "a.000", "a.1", "a.\u0661\u0661\u0661")] == [None] * 5
