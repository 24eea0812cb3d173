"""The files that a stack wishes for: ``[[files]]`` in ``NAME.toml``, what a server reads by its path and no package brings.

A tokenizer's vocabulary, a chat template: ``sha256`` pins it, so that there is no lock of its own.
``mirror.connected.fetching.fetch`` fetches it, ``mirror.closed.kinds.file`` copies it into a generation.

Rules: a file comes from one place, a URL or a path beside ``NAME.toml``; no two go to one place, nor one below another;
``mirror.connected.stack.environment`` checks the variables that name them.

Example::

    [[files]]
    url = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
    sha256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
    to = "tiktoken/o200k_base.tiktoken"              # below files/; without it, the file's own name
    directory_variable = "TIKTOKEN_ENCODINGS_BASE"   # names files/tiktoken
    licence = "MIT"
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from mirror.connected.fetching.download import Download, clean_url, filename_of, redacted
from mirror.connected.fetching.store import file_sha256
from mirror.core.bundle.manifest import artifact_path, variable_name
from mirror.core.fields import Fields
from mirror.core.kinds import FILE
from mirror.core.names import Sha256Hex, sha256_hex


@dataclass(frozen=True)
class FileWish:
    """One file that is wanted.

    Attributes:
        source: its URL, or its path as it is written.
        url: where it is fetched from; a ``file:`` URL for a path.
        sha256: of its bytes.
        to: its path below ``files/``, in the bundle and in a generation.
        variable: the environment variable that names it; empty for none.
        directory_variable: the one that names the directory in which it lies; empty for none.
        licence: SPDX expression; empty when nobody said.
        summary: what it is, in one line; empty when nobody said.
    """

    source: str
    url: str
    sha256: Sha256Hex
    to: str
    variable: str = ""
    directory_variable: str = ""
    licence: str = ""
    summary: str = ""

    @property
    def path(self) -> str:
        """In the bundle, and below a generation."""
        return FILE.path(self.to)

    @property
    def name(self) -> str:
        return self.to.rpartition("/")[2]

    @property
    def origin(self) -> str:
        """Where it came from, as a manifest may say it: of a path beside ``NAME.toml``, nothing of this machine."""
        return redacted(self.source) if self.source == self.url else f"file:{self.source}"

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """The variables that it asks for, each with a path below the generation."""
        named = ((self.variable, self.path), (self.directory_variable, self.path.rpartition("/")[0]))
        return tuple((name, value) for name, value in named if name)

    def download(self) -> Download:
        return Download(self.url, self.name, self.sha256)

    @classmethod
    def from_fields(cls, fields: Fields, directory: Path) -> FileWish:
        """Read and check one ``[[files]]`` table of a ``NAME.toml`` in this directory.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        source, url = source_of(fields, directory)
        return fields.fill(
            cls,
            source=source,
            url=url,
            sha256=digest_of(fields, url),
            to=_place(fields, url),
            variable=_variable(fields, "variable"),
            directory_variable=_variable(fields, "directory_variable"),
            licence=fields.checked("licence", _licence, ""),
            summary=fields.checked("summary", _one_line, ""),
        )


def read_files(tables: Iterable[Fields], directory: Path) -> tuple[FileWish, ...]:
    """Read the tables, in order of place.

    Args:
        directory: of ``NAME.toml``.

    Raises:
        InvalidDocument: with the path to the fault; also when two go to one place, or one lies in the other.
    """
    taken: dict[str, str] = {}
    above: dict[str, str] = {}
    wishes = []
    for table in tables:
        wish = FileWish.from_fields(table, directory)
        place = wish.to.casefold()
        parents = ["/".join(place.split("/")[:count]) for count in range(1, place.count("/") + 1)]
        if place in taken:
            table.fail("to", f"{taken[place]} is another file's already")
        clash = next((taken[name] for name in parents if name in taken), above.get(place))
        if clash is not None:
            table.fail("to", f"of {wish.path} and {clash} one lies in the other")
        taken[place] = wish.path
        above.update((name, wish.path) for name in parents)
        wishes.append(wish)
    return tuple(sorted(wishes, key=lambda wish: wish.to))


def source_of(fields: Fields, directory: Path) -> tuple[str, str]:
    """Where the file is, as it is written and as a URL."""
    if ("url" in fields) == ("path" in fields):
        fields.fail("url", "expected one of url and path, for a file comes from one place")
    if "url" in fields:
        url = fields.checked("url", clean_url)
        return url, url
    path = fields.checked("path", relative_path)
    return path, (directory / path).absolute().as_uri()


def relative_path(text: str) -> str:
    """Check a path beside ``NAME.toml``. Raises ``ValueError``."""
    if not text or text.startswith(("/", "~")) or not text.isprintable():
        raise ValueError(f"expected a path relative to NAME.toml, got {text!r}")
    return text


def digest_of(fields: Fields, url: str) -> Sha256Hex:
    if "sha256" in fields:
        return fields.checked("sha256", sha256_hex)
    if urlsplit(url).scheme != "file":
        fields.fail("sha256", "missing: it is what pins the file; take it from whoever made it, or from sha256sum")
    path = unquote(urlsplit(url).path)
    try:
        found = file_sha256(Path(path))
    except OSError as exc:
        problem = f"missing, and the file cannot be read: {path}: {exc.strerror or exc}"
    else:
        problem = f'missing: if the file is the one that you mean, write sha256 = "{found}"'
    return fields.fail("sha256", problem)


def _place(fields: Fields, url: str) -> str:
    to = fields.text("to", filename_of(url))
    try:
        artifact_path(FILE.path(to))
    except ValueError:
        fields.fail(
            "to",
            "expected a path below files/ whose names have letters, digits and ._+!- and begin with a letter or digit, "
            f"got {to!r}",
        )
    return to


def _variable(fields: Fields, key: str) -> str:
    return fields.checked(key, variable_name) if key in fields else ""


def _licence(text: str) -> str:
    if not text:
        return ""
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression as exc:
        raise ValueError(f"expected an SPDX expression such as 'Apache-2.0', got {text!r}") from exc


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected one line")
    return text
