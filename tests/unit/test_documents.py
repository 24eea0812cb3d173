"""Documents as mirror wrote them before: each is read, and written again, to the byte."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.closed.prefix.history import Event, History, HistorySeal
from mirror.closed.prefix.receipt import Receipt
from mirror.connected.contents.inside import Contents
from mirror.connected.fetching.transport import BadReply
from mirror.connected.index.simplepage import parse_page
from mirror.connected.pins.requirements import InvalidLock, parse_lock
from mirror.connected.sdists.sdist import InvalidSdist, read_sdist
from mirror.connected.stack.stack import Stack
from mirror.connected.toolchain.redistlock import RedistLock
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.core.advisories.known import Advisories
from mirror.core.bundle.dossier import Dossier
from mirror.core.bundle.manifest import FORMATS, Manifest
from mirror.core.errors import InvalidDocument
from mirror.core.fields import canonical_json
from mirror.core.policy.document import Policy
from mirror.core.toolkit.carried import RedistList, RpmList
from mirror.core.trust.root import Root
from mirror.core.trust.sidecars import Statement
from tests.unit.connected.sdists.test_sdist import archive

VECTORS = Path(__file__).parents[1] / "vectors" / "documents"
READERS: dict[str, Callable[[bytes], object]] = {
    "dossier.json": Dossier.parse,
    "history.json": HistorySeal.parse,
    "manifest.json": Manifest.parse,
    "receipt-short.json": Receipt.from_bytes,
    "receipt.json": Receipt.from_bytes,
    "root.json": Root.parse,
    "statement.json": Statement.parse,
    "vulnerabilities.json": Advisories.parse,
}


@pytest.mark.parametrize("name", [name for name in READERS if not name.startswith("receipt")])
def test_what_was_written_before_is_read_and_written_alike(name: str) -> None:
    data = (VECTORS / name).read_bytes()
    found: Receipt = READERS[name](data)  # type: ignore[assignment]  # each of them has encode
    assert found.encode() == data


@pytest.mark.parametrize("name", ["receipt-short.json", "receipt.json"])
def test_a_receipt_of_before_is_read_and_its_counts_are_kept_by_kind(name: str) -> None:
    """Receipts counted `wheels`, `rpms` and `archives`; now one `counts` says how many there are of each kind."""
    data = (VECTORS / name).read_bytes()
    old = json.loads(data)
    found = Receipt.from_bytes(data)
    for key, kind in (("wheels", "wheel"), ("rpms", "rpm"), ("archives", "archive")):
        assert dict(found.counts).get(kind, 0) == old.get(key, 0)
    assert Receipt.from_bytes(found.encode()).encode() == found.encode()


def test_a_history_of_before_goes_on(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_bytes((VECTORS / "history.jsonl").read_bytes())
    history = History(tmp_path)
    (event,) = history.events()
    assert isinstance(event, Event)
    history.append(event)
    assert history.path.read_bytes() == (VECTORS / "history.jsonl").read_bytes() * 2


@pytest.mark.group(12)
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("version", "step"), [("9", ": use a newer mirror"), ("0", "")])
def test_a_format_of_another_version_is_refused_in_one_sentence(name: str, version: str, step: str) -> None:
    document = json.loads((VECTORS / name).read_bytes())
    family = document["format"].rpartition("/")[0]
    known = FORMATS if name == "manifest.json" else [document["format"]]
    with pytest.raises(InvalidDocument) as caught:
        READERS[name](canonical_json({**document, "format": f"{family}/{version}"}))
    reads = " and ".join(map(repr, known))
    assert str(caught.value).endswith(f"invalid at 'format': this mirror reads {reads}, got '{family}/{version}'{step}")


@pytest.mark.parametrize("name", READERS)
def test_a_document_of_another_kind_is_not_said_to_be_newer(name: str) -> None:
    document = json.loads((VECTORS / name).read_bytes())
    with pytest.raises(InvalidDocument) as caught:
        READERS[name](canonical_json({**document, "format": "mirror-other/9"}))
    assert str(caught.value).endswith(", got 'mirror-other/9'")


def stack_of(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "demo.toml")
        path.write_bytes(data)
        return Stack.load(path)


def sdist_of(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as directory:
        described = [("a-1/PKG-INFO", b"Metadata-Version: 2.1\nName: a\nVersion: 1\n"), ("a-1/pyproject.toml", data)]
        return read_sdist(archive(Path(directory, "a-1.tar.gz"), described))


HOSTILE_JSON = (b"[" * 200_000, b'{"a":' * 200_000, b'{"format": ' + b"9" * 5000 + b"}")
HOSTILE_TOML = (
    b"a = " + b"[" * 200_000,
    b"a = " + b"{a=" * 100_000,
    b"format = " + b"9" * 5000,
    b"a." * 100_000 + b"a = 1",
)
JSON_READERS: tuple[Callable[[bytes], object], ...] = (
    *READERS.values(),
    Contents.parse,
    RpmList.from_bytes,
    RedistList.from_bytes,
    lambda data: parse_lock(b"# mirror: target=" + data, "demo.txt"),
    lambda data: parse_page(b'{"files": ' + data, "https://example.org/simple/a/"),
)
TOML_READERS: tuple[Callable[[bytes], object], ...] = (
    Policy.parse,
    stack_of,
    sdist_of,
    lambda data: RpmLock.parse(data, "demo.rpms.toml"),
    lambda data: RedistLock.parse(data, "demo.redist.toml"),
    lambda data: parse_lock(data, "pylock.toml"),
)


@pytest.mark.group(11)
@pytest.mark.parametrize(
    ("read", "data"),
    [
        *((reader, data) for reader in JSON_READERS for data in HOSTILE_JSON),
        *((reader, data) for reader in TOML_READERS for data in HOSTILE_TOML),
    ],
)
def test_what_a_parser_chokes_on_is_a_named_error_whoever_reads_it(
    read: Callable[[bytes], object], data: bytes
) -> None:
    with pytest.raises((InvalidDocument, InvalidLock, InvalidSdist, BadReply)) as caught:
        read(data)
    assert len(str(caught.value)) < 500
