"""What a file is, by its first bytes."""

from __future__ import annotations

import gzip

from mirror.core.archives.magic import binary_kind


def test_a_binary_file_is_known_by_its_first_bytes_and_a_text_is_none() -> None:
    assert binary_kind(gzip.compress(b"x")) == "a gzip file (.gz, .tgz)"
    assert binary_kind(b"name".ljust(257, b"\0") + b"ustar  \0") == "a tar"
    assert binary_kind(b"INFO: the server answers\n") == binary_kind(b"") == ""
