"""Whether a file of a model is what its name says, and whether loading it runs code that came with it.

``mirror.core.vetting.rules`` holds what a rule refuses, and who may accept it.

Rules: a file is one of pickle's by its name or by its first bytes, whatever it is called; a safetensors file has a header that
describes it. Python modules of a repository are no finding: nothing runs them unless it is told to trust remote code.

Example::

    names_a_pickle("pytorch_model.bin")       # True
    vet_model_file(stream, artifact)          # what its bytes break
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from mirror.core.archives.zipdirectory import BadZip, read_directory
from mirror.core.bundle.manifest import Artifact
from mirror.core.errors import InvalidDocument
from mirror.core.vetting.rules import PICKLE, SAFETENSORS, Finding
from mirror.core.vetting.safetensors import read_header

_PICKLES = re.compile(r".+\.(?:bin|pt|pth|ckpt|pkl|pickle|joblib|dill)", re.IGNORECASE)
_PROTOCOL = re.compile(rb"\x80[\x02-\x05]")
"""How pickle's protocols 2 to 5 begin; torch before 1.6 and joblib write these."""

_ZIP = b"PK\x03\x04"
_WHAT = "it is in the format of Python's pickle: loading it can run any code"


def names_a_pickle(path: str) -> bool:
    """Whether a file's name is one that pickles have. Looks at the name only."""
    return bool(_PICKLES.fullmatch(path.rpartition("/")[2]))


def pickle_finding(path: str, repository: str, file: str) -> Finding:
    """What is wrong with a pickle.

    Args:
        path: in the bundle.
        file: path in the repository; a waiver may name it as its subject.
    """
    return Finding(PICKLE, path, repository, f"{_WHAT} (of {repository})", file)


def vet_model_file(stream: BinaryIO, artifact: Artifact) -> Iterator[Finding]:
    """What a file of a model breaks.

    Args:
        stream: its bytes, seekable, at the beginning.
        artifact: its name is the repository.

    Raises:
        OSError: when it cannot be read.
    """
    file = artifact.filename.partition("/")[2]
    if names_a_pickle(file) or _is_pickle(stream):
        yield pickle_finding(artifact.path, artifact.name, file)
    if file.lower().endswith(".safetensors"):
        stream.seek(0)
        try:
            read_header(stream, artifact.size)
        except InvalidDocument as exc:
            yield Finding(SAFETENSORS, artifact.path, artifact.name, str(exc), file)


def _is_pickle(stream: BinaryIO) -> bool:
    """Whether it begins as a pickle, or is a zip archive that holds one, as torch writes it."""
    head = stream.read(4)
    if head != _ZIP:
        return bool(_PROTOCOL.match(head))
    try:
        members, _ = read_directory(stream)
    except BadZip:
        return True  # unknown is not no: a reader more patient than ours may find one in it
    return any(member.name.endswith(".pkl") for member in members)
