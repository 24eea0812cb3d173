"""Altered copies of a small signed bundle: every byte flipped, and random changes of its structure. None may be accepted.

The bundle is a real one: a wheel and a CUDA toolchain of four RPMs, a chain of two roots, two builders who must both have
signed. What is accepted and is not, byte for byte, what packing its manifest again gives is found, and so is every other end
than a named error. Each random change is made of its number alone, so that ``--first N --count 1`` makes it again.

Rules: judged in this process by the reader that ``mirror verify`` uses; the verdict of Ed25519 over equal bytes is remembered,
for it is a function of them, and most changes leave key, message and signature as they are.

Example::

    with Judge(Bundle.make(directory)) as judge:
        judge.verdict(data)     # "" when it was accepted, else the error's ref
"""

from __future__ import annotations

import functools
import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mirror.core.bundle import layout
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import MirrorError
from mirror.core.signatures import ed25519
from mirror.core.trust.root import Root
from tests.support.bundles import SEQUENCE, BundleSimulator
from tests.support.keys import make_root, role, sign_root
from tests.support.rpms import Packager, toolkit
from tests.support.wheels import make_wheel

MASKS = (0x01, 0x80, 0xFF)
BLOCK = layout.BLOCK


@dataclass(frozen=True)
class Bundle:
    """What is altered.

    Attributes:
        data: the good bundle.
        other: an older good bundle of the same people, from which parts are taken.
        root: who is trusted.
        members: where each member begins, in order, and the end.
    """

    data: bytes
    other: bytes
    root: Root
    members: tuple[int, ...]

    @staticmethod
    def make(directory: Path) -> Bundle:
        packager = Packager()
        (directory / "packages").mkdir()
        rpms = toolkit(directory / "packages", packager)
        first = make_root(role("root"), role("builder", "second", threshold=2))
        root = make_root(role("root"), role("builder", "second", threshold=2), version=2)
        written = []
        for sequence in (SEQUENCE - 86400, SEQUENCE):
            simulator = BundleSimulator(sequence=sequence)
            simulator.root, simulator.signers = root, tuple(key.name for key in root.builder.keys)
            simulator.chain = (sign_root(first), sign_root(root))
            simulator.add_wheel(make_wheel(directory / str(sequence), "left-pad", f"1.{sequence % 10}"))
            simulator.add("meta/words.txt", b"%d" % sequence)
            simulator.add_rpms(rpms, packager.armored, packager.fingerprint)
            written.append(simulator.write(directory / f"{sequence}.tar", ("left_pad",)).read_bytes())
        return Bundle(written[1], written[0], root, tuple(_members(written[1])))


def _members(data: bytes) -> Iterator[int]:
    at = 0
    while data[at : at + BLOCK].strip(b"\0"):
        yield at
        at += layout.member_bytes(int(data[at + 124 : at + 135], 8))
    yield at


class Judge:
    """Judges altered copies one after the other, in a file of its own."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._directory = tempfile.TemporaryDirectory()
        self._path = Path(self._directory.name) / "bundle.tar"
        self._path.write_bytes(bundle.data)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._directory.cleanup()

    def verdict(self, data: bytes) -> str:
        """The ref of the error that refuses it; empty when it is accepted; any other end of it in words."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)
        return self._look()

    def flipped(self, offset: int, mask: int) -> str:
        """The verdict about the good bundle with one byte flipped."""
        good = self._bundle.data[offset : offset + 1]
        os.pwrite(self._descriptor, bytes([good[0] ^ mask]), offset)
        try:
            return self._look()
        finally:
            os.pwrite(self._descriptor, good, offset)

    def _look(self) -> str:
        try:
            with open_bundle(self._path) as opened:
                opened.trust(self._bundle.root)
                opened.verify(threads=1)
        except MirrorError as exc:
            return exc.ref
        except Exception as exc:  # noqa: BLE001  # what escapes is what is looked for
            return f"escaped: {type(exc).__name__}: {exc}"
        return ""


Change = Callable[[random.Random, Bundle], bytes]


def _member(draw: random.Random, bundle: Bundle) -> tuple[int, int]:
    """Where a random member begins and ends."""
    number = draw.randrange(len(bundle.members) - 1)
    return bundle.members[number], bundle.members[number + 1]


def _place(draw: random.Random, bundle: Bundle) -> int:
    """Any byte, or the beginning of a block or of a member."""
    at = draw.randrange(len(bundle.data))
    return draw.choice((at, at - at % BLOCK, draw.choice(bundle.members)))


def truncate(draw: random.Random, bundle: Bundle) -> bytes:
    return bundle.data[: _place(draw, bundle)]


def insert(draw: random.Random, bundle: Bundle) -> bytes:
    at, other = _place(draw, bundle), draw.randrange(len(bundle.other))
    size = draw.choice((1, 8, BLOCK, 2 * BLOCK, draw.randrange(1, 5000)))
    what = draw.choice(
        (bytes(size), draw.randbytes(size), bundle.other[other : other + size], bundle.data[at : at + size])
    )
    return bundle.data[:at] + what + bundle.data[at:]


def remove(draw: random.Random, bundle: Bundle) -> bytes:
    at = _place(draw, bundle)
    return bundle.data[:at] + bundle.data[at + draw.choice((1, 8, BLOCK, 2 * BLOCK, draw.randrange(1, 5000))) :]


def double_member(draw: random.Random, bundle: Bundle) -> bytes:
    begin, end = _member(draw, bundle)
    at = draw.choice((end, draw.choice(bundle.members)))
    return bundle.data[:at] + bundle.data[begin:end] + bundle.data[at:]


def drop_member(draw: random.Random, bundle: Bundle) -> bytes:
    begin, end = _member(draw, bundle)
    return bundle.data[:begin] + bundle.data[end:]


def exchange_members(draw: random.Random, bundle: Bundle) -> bytes:
    (a, b), (c, d) = sorted((_member(draw, bundle), _member(draw, bundle)))
    data = bundle.data
    return data if a == c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def exchange_contents(draw: random.Random, bundle: Bundle) -> bytes:
    """Two members keep their names, and take each other's content and size: two signatures, say."""
    (a, b), (c, d) = sorted((_member(draw, bundle), _member(draw, bundle)))
    data = bundle.data
    if a == c:
        return data
    first, second = _named(data, a, _content(data, c)), _named(data, c, _content(data, a))
    return data[:a] + first + data[b:c] + second + data[d:]


def repeat_content(draw: random.Random, bundle: Bundle) -> bytes:
    """A member's content twice, or one more member with the next number: a signature doubled within its file or beside it."""
    begin, end = _member(draw, bundle)
    data = bundle.data
    content = _content(data, begin)
    return data[:begin] + _named(data, begin, content * draw.choice((2, 2, 3))) + data[end:]


def add_numbered(draw: random.Random, bundle: Bundle) -> bytes:
    """One more signature or root behind the last one."""
    names = [bundle.data[at : at + 100].rstrip(b"\0").decode() for at in bundle.members[:-1]]
    kind = draw.choice(("SIG", "ROOT"))
    last = max(number for number, name in enumerate(names) if name.startswith(kind))
    begin, end = bundle.members[draw.randrange(last + 1)], bundle.members[last + 1]
    number = sum(name.startswith(kind) and name.endswith(".sig") for name in names) + 1
    content = _content(bundle.data, begin)
    added = b"".join(
        layout.header(name, len(content)) + content + layout.padding(len(content))
        for name in ((layout.signature_name(number),) if kind == "SIG" else layout.root_names(number))
    )
    return bundle.data[:end] + added + bundle.data[end:]


def _content(data: bytes, at: int) -> bytes:
    return data[at + BLOCK : at + BLOCK + int(data[at + 124 : at + 135], 8)]


def _named(data: bytes, at: int, content: bytes) -> bytes:
    """A member with the name of the one at this place and another content."""
    name = data[at : at + 100].rstrip(b"\0").decode()
    return layout.header(name, len(content)) + content + layout.padding(len(content))


_FIELDS = {"name": (0, 100), "mode": (100, 8), "uid": (108, 8), "gid": (116, 8), "size": (124, 12), "mtime": (136, 12),
           "type": (156, 1), "link": (157, 100), "magic": (257, 8), "owner": (265, 64), "device": (329, 16),
           "prefix": (345, 155), "rest": (500, 12)}  # fmt: skip


def edit_header(draw: random.Random, bundle: Bundle) -> bytes:
    """One field of a header, with the checksum made right again."""
    begin, _ = _member(draw, bundle)
    header = bytearray(bundle.data[begin : begin + BLOCK])
    at, width = _FIELDS[draw.choice(tuple(_FIELDS))]
    old = bytes(header[at : at + width])
    numbers = [draw.choice((0, 1, 7, BLOCK - 1, BLOCK, 8**7))]
    digits = old.partition(b"\0")[0]
    if digits and not digits.strip(b"01234567"):
        numbers.append(int(digits, 8) + draw.choice((-1, 1)))
    values = [b"%0*o\0" % (width - 1, max(0, number)) for number in numbers]
    values += [bytes([one]) for one in b"01234567xgLKSD"]  # the kinds of members: links, devices, pax and GNU records
    values += [b"../x", b"/etc/x", b"\x80" + bytes(9) + b"\x02", b"\xff" * width, b" " * width, bytes(width)]
    values += [old.swapcase(), old[1:] + old[:1], draw.randbytes(width)]
    header[at : at + width] = draw.choice(values)[:width].ljust(width, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = draw.choice((b"%06o\0 ", b"%07o\0", b"%6o\0 ")) % sum(header)
    return bundle.data[:begin] + bytes(header) + bundle.data[begin + BLOCK :]


def splice(draw: random.Random, bundle: Bundle) -> bytes:
    """A stretch of the older bundle in the same place."""
    at = _place(draw, bundle)
    size = draw.choice((BLOCK, draw.randrange(1, 20_000)))
    return bundle.data[:at] + bundle.other[at : at + size] + bundle.data[at + size :]


def flip_several(draw: random.Random, bundle: Bundle) -> bytes:
    data = bytearray(bundle.data)
    for _ in range(draw.randrange(1, 9)):
        data[draw.randrange(len(data))] ^= draw.randrange(1, 256)
    return bytes(data)


def overwrite(draw: random.Random, bundle: Bundle) -> bytes:
    at, size = _place(draw, bundle), draw.choice((1, 16, BLOCK, draw.randrange(1, 3000)))
    what = draw.choice((bytes(size), b"\xff" * size, draw.randbytes(size)))
    return bundle.data[:at] + what[: len(bundle.data) - at] + bundle.data[at + size :]


def append(draw: random.Random, bundle: Bundle) -> bytes:
    return bundle.data + draw.choice(
        (b"\0", bytes(BLOCK), bytes(20 * BLOCK), b"\n", bundle.data, bundle.other, draw.randbytes(99))
    )


CHANGES: tuple[Change, ...] = (
    truncate, insert, remove, double_member, drop_member, exchange_members, exchange_contents, repeat_content, add_numbered,
    edit_header, edit_header, splice, flip_several, overwrite, append,
)  # fmt: skip


def mutant(bundle: Bundle, number: int) -> tuple[str, bytes]:
    """The random change of this number: what it is called, and the bytes."""
    draw = random.Random(number)
    change = draw.choice(CHANGES)
    return change.__name__, change(draw, bundle)


@dataclass
class Tally:
    """What was counted.

    Attributes:
        refused: how often each error refused.
        changes: how often each kind of change was made.
        same: changes that changed nothing.
        found: what was accepted or ended otherwise, each with what makes it again.
    """

    refused: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    same: int = 0
    found: list[str] = field(default_factory=list)

    def note(self, change: str, verdict: str, again: str) -> None:
        self.changes[change] += 1
        if not verdict or verdict.startswith("escaped"):
            self.found.append(f"{change}: {verdict or 'accepted'}; again: {again}")
        else:
            self.refused[verdict] += 1

    def add(self, other: Tally) -> None:
        self.refused += other.refused
        self.changes += other.changes
        self.same += other.same
        self.found += other.found

    @property
    def made(self) -> int:
        return sum(self.changes.values())


def flips(judge: Judge, offsets: Iterable[int]) -> Tally:
    """Every mask at each of these offsets."""
    tally = Tally()
    for offset in offsets:
        for mask in MASKS:
            tally.note("flip", judge.flipped(offset, mask), f"byte {offset} ^ {mask:#04x}")
    return tally


def changes(judge: Judge, bundle: Bundle, numbers: Iterable[int]) -> Tally:
    """The random changes of these numbers."""
    tally = Tally()
    for number in numbers:
        name, data = mutant(bundle, number)
        if data == bundle.data:
            tally.same += 1
        else:
            tally.note(name, judge.verdict(data), f"scripts/attack mutants --first {number} --count 1 --no-flips")
    return tally


_judge: Judge | None = None
_bundle: Bundle | None = None


def _begin(bundle: Bundle) -> None:
    global _judge, _bundle  # a worker's own, made once
    remember_signatures()
    _judge, _bundle = Judge(bundle), bundle


def remember_signatures() -> None:
    """Keep Ed25519's verdicts over equal bytes; see the rules above."""
    ed25519.verify = functools.lru_cache(1 << 16)(ed25519.verify)
    ed25519.is_usable_key = functools.lru_cache(1 << 16)(ed25519.is_usable_key)


def _work(job: tuple[str, range]) -> Tally:
    assert _judge is not None and _bundle is not None
    return flips(_judge, job[1]) if job[0] == "flip" else changes(_judge, _bundle, job[1])


def attack(
    bundle: Bundle, first: int, count: int, with_flips: bool, workers: int, say: Callable[[str], object]
) -> Tally:
    """The whole of it over some processes.

    Args:
        first, count: the numbers of the random changes.
        say: told how far it is.
    """
    jobs = [
        ("flip", range(at, min(at + 2000, len(bundle.data)))) for at in range(0, len(bundle.data) * with_flips, 2000)
    ]
    jobs += [("change", range(at, min(at + 2000, first + count))) for at in range(first, first + count, 2000)]
    total = Tally()
    with ProcessPoolExecutor(workers, initializer=_begin, initargs=(bundle,)) as pool:
        for number, tally in enumerate(pool.map(_work, jobs), 1):
            total.add(tally)
            if number % 10 == 0:
                say(f"{total.made:,} altered copies, {len(total.found)} found")
    return total


def summary(bundle: Bundle, tally: Tally) -> str:
    """The counts as text."""
    lines = [
        f"{tally.made:,} altered copies of a bundle of {len(bundle.data):,} bytes; {tally.same:,} changes changed nothing"
    ]
    lines += [f"  {count:>9,} {name}" for name, count in tally.changes.most_common()]
    lines.append("refused by:")
    lines += [f"  {count:>9,} {ref}" for ref, count in tally.refused.most_common()]
    lines.append(f"accepted, or ended otherwise: {len(tally.found)}")
    lines += [f"  {one}" for one in tally.found[:20]]
    return "\n".join(lines)


def run(first: int, count: int, with_flips: bool, workers: int, say: Callable[[str], object]) -> int:
    """Make the bundle, attack it, print; the exit code."""
    with tempfile.TemporaryDirectory() as directory:
        bundle = Bundle.make(Path(directory))
    with Judge(bundle) as judge:
        assert judge.verdict(bundle.data) == "", "the good bundle is accepted"
    tally = attack(bundle, first, count, with_flips, workers, say)
    print(summary(bundle, tally))
    return 1 if tally.found else 0
