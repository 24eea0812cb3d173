"""A Hugging Face hub on the loopback: the part of its API that ``huggingface_hub`` uses, and files at their place.

Large files (``*.safetensors`` and others) are kept by their SHA-256 and served by a redirect to a second server, as the hub's
own are; of the others it tells git's SHA-1 alone.

Example::

    with LoopbackHub() as hub:
        revision = hub.add("org/tiny", make_model())
        ... hub.origin ...
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from tests.support.index import Fault, LoopbackServer, Seen

_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(?:revision|tree)/(.+))?")
_FILE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
_LARGE = re.compile(r".*\.(safetensors|bin|pt|gguf)")

CARD = b"---\nlicense: apache-2.0\ntags:\n- tiny\n---\n\n# Tiny, a model of two tensors\n\nIt says nothing.\n"


def make_safetensors(tensors: Mapping[str, tuple[str, list[int], bytes]]) -> bytes:
    """A safetensors file: each tensor with its type, shape and bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (kind, shape, content) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def make_model() -> dict[str, bytes]:
    """The files of a small repository, as they lie on a hub."""
    weights = {"embed.weight": ("BF16", [4, 2], bytes(range(16))), "norm.weight": ("F32", [2], bytes(8))}
    return {
        ".gitattributes": b"*.safetensors filter=lfs\n",
        "LICENSE": b"Apache License, Version 2.0, January 2004\n",
        "README.md": CARD,
        "config.json": b'{"model_type": "tiny"}\n',
        "figures/loss.png": b"\x89PNG",
        "model.safetensors": make_safetensors(weights),
        "tokenizer/vocabulary.txt": b"a\nb\n",
        "tokenizer/merges.txt": b"",
    }


def git_sha1(data: bytes) -> str:
    """What git calls a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def authorization(seen: Seen) -> str:
    """What a request said of who asks, whichever case its library writes headers in."""
    return next((value for name, value in seen.headers.items() if name.lower() == "authorization"), "")


@dataclass(frozen=True)
class _Repository:
    revision: str
    files: Mapping[str, bytes]
    closed: str


class LoopbackHub(LoopbackServer):
    """A hub; ``add`` repositories to it.

    Attributes:
        cdn: the server of the large files.
        members: tokens of accounts that accepted every licence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cdn = LoopbackServer()
        self.members: set[str] = set()
        self._repositories: dict[str, _Repository] = {}

    def __enter__(self) -> Self:
        self.cdn.__enter__()
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.cdn.__exit__(*exc)

    def add(self, repository: str, files: Mapping[str, bytes], *, closed: str = "") -> str:
        """Put a repository there and return its only revision.

        Args:
            closed: ``"files"`` shows a gated one's names and keeps its files, ``"all"`` keeps both; empty for an open one.
        """
        names = "\n".join(f"{path} {git_sha1(data)}" for path, data in sorted(files.items()))
        revision = hashlib.sha1(names.encode(), usedforsecurity=False).hexdigest()
        self._repositories[repository] = _Repository(revision, files, closed)
        for path, data in files.items():
            if _LARGE.fullmatch(path):
                self.cdn.serve(f"/lfs/{hashlib.sha256(data).hexdigest()}", data)
        return revision

    def arrive(self, seen: Seen) -> Fault | None:
        return super().arrive(seen) or self._refusal(seen)

    def body(self, path: str, accept: str) -> tuple[bytes, str] | None:
        if match := _API.fullmatch(path):
            answer = self._tree(match[1]) if "/tree/" in path else self._info(match[1])
            return json.dumps(answer).encode(), "application/json"
        if (match := _FILE.fullmatch(path)) and (data := self._repositories[match[1]].files.get(match[3])) is not None:
            return data, "application/octet-stream"
        return super().body(path, accept)

    def headers(self, path: str) -> dict[str, str]:
        match = _FILE.fullmatch(path)
        if match is None:
            return {}
        repository = self._repositories[match[1]]
        return {"X-Repo-Commit": repository.revision, "ETag": f'"{git_sha1(repository.files[match[3]])}"'}

    def _refusal(self, seen: Seen) -> Fault | None:
        """The status that a request meets, if it is not served; a redirect counts as one."""
        api, file = _API.fullmatch(seen.path), _FILE.fullmatch(seen.path)
        name = (api or file or [None, ""])[1]
        if not name:
            return None
        token = authorization(seen).removeprefix("Bearer ")
        repository = self._repositories.get(name)
        if repository is None:
            return Fault(404 if token in self.members else 401, headers={"X-Error-Code": "RepoNotFound"})
        if repository.closed and token not in self.members and (file or repository.closed == "all"):
            return Fault(403 if token else 401, headers={"X-Error-Code": "GatedRepo"})
        if (api or file or [None] * 3)[2] not in (None, "main", repository.revision):
            return Fault(404, headers={"X-Error-Code": "RevisionNotFound"})
        if file is None:
            return None
        if file[3] not in repository.files:
            return Fault(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.revision})
        return self._redirect(repository, file[3]) if _LARGE.fullmatch(file[3]) else None

    def _redirect(self, repository: _Repository, path: str) -> Fault:
        data = repository.files[path]
        digest = hashlib.sha256(data).hexdigest()
        headers = {
            "Location": f"{self.cdn.origin}/lfs/{digest}",
            "X-Repo-Commit": repository.revision,
            "X-Linked-Etag": f'"{digest}"',
            "X-Linked-Size": str(len(data)),
        }
        return Fault(302, headers=headers)

    def _info(self, name: str) -> dict[str, Any]:
        repository = self._repositories[name]
        siblings = [_sibling(path, data) for path, data in repository.files.items()]
        gated = "manual" if repository.closed else False
        return {"id": name, "modelId": name, "sha": repository.revision, "gated": gated, "siblings": siblings}

    def _tree(self, name: str) -> list[dict[str, Any]]:
        """As ``_info``, in the words of the API's other question."""
        found = []
        for path, data in self._repositories[name].files.items():
            one = _sibling(path, data)
            lfs = {"lfs": {**one["lfs"], "oid": one["lfs"]["sha256"]}} if "lfs" in one else {}
            found.append({"type": "file", "path": path, "size": len(data), "oid": one["blobId"], **lfs})
        return found


def _sibling(path: str, data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": git_sha1(data)}
    if _LARGE.fullmatch(path):
        found["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return found
