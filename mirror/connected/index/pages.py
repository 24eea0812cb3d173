"""What an index offers: the files of a project, read from its simple pages (HTML or JSON).

``mirror.connected.index.wheels`` finds which of them fit the target; ``mirror.connected.fetching.fetch`` brings one.

Rules: a digest on a page serves to find a file again, and becomes a lock's at most at the moment of locking: it never
replaces one that a lock names (SECURITY.md T13). Each project comes from one index only (T14). Files whose names do not parse,
or that belong to another project, are not seen. What reads a page (``simplepage``) is loaded where one is to be read: it takes
a quarter of a second, and of what has not changed nothing is read.

Example::

    with Index.of(stack) as index:
        files = index.files(project_name("torch"), "2.10.0")
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from mirror.connected.fetching.download import redacted
from mirror.connected.fetching.patience import PATIENCE, Patience
from mirror.connected.fetching.store import Store
from mirror.connected.fetching.transport import HttpRefused, get_bytes, get_digest, get_if_changed, new_session
from mirror.connected.index.defaultindex import public_index
from mirror.connected.index.indexfile import IndexFile, spelt
from mirror.connected.index.pagememory import PageMemory
from mirror.connected.stack.stack import Stack
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName
from mirror.core.progress import SILENT, Progress
from mirror.core.system.crew import Crew

if TYPE_CHECKING:
    from mirror.connected.index.simplepage import Page

T = TypeVar("T")

JOBS = 8
"""Pages asked for at the same time."""

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.01"
"""PEP 691: JSON rather than HTML."""

_MAX_ROOT_BYTES = 2 << 20
"""Largest answer of an index's own URL that is looked at for links to files."""

MAX_PAGE_BYTES = 64 << 20
"""Largest page that is read; the largest seen on the package index has 20 MB."""


class ProjectNotOnIndex(MirrorError):
    """An index has no page for a project.

    Attributes:
        index: the index's URL, without credentials.
        page: whether that URL itself is a page of links to files of the project.
    """

    ref = "project-not-on-index"
    exit_code = 51
    hint = "Check the project's name, or name the index that has it in [indexes] and [python.index] of NAME.toml."
    message = "{project} is asked for, but the index {index} has no such project"

    project: ProjectName
    index: str
    page: bool = False

    def __post_init__(self) -> None:
        if self.page:
            self.hint = (
                f"{self.index} is one page of links, as pip's --find-links reads it, and no simple index: write it into "
                f'[indexes] as NAME = {{ find-links = "{self.index}" }}.'
            )


class Index:
    """The index or indexes of a stack, as one. Close it, or use it in a ``with`` block.

    Args:
        default: URL of the index for projects that are not in ``special``; the public one when empty.
        special: URL of the only index for each project that has its own.
        flat: those URLs that are one page of links to files of several projects, as pip's ``--find-links`` reads it.
        single: those URLs that are one file, each with ``#sha256=`` and its digest; nobody is asked about them.
        archives: the source of each project that comes from no index; nobody is asked about them either.
        memory: of pages that were read before; closed with the index.
    """

    def __init__(
        self,
        default: str = "",
        special: Mapping[ProjectName, str] = MappingProxyType({}),
        flat: Collection[str] = (),
        memory: PageMemory | None = None,
        single: Collection[str] = (),
        archives: Mapping[ProjectName, IndexFile] = MappingProxyType({}),
    ) -> None:
        self._memory = memory
        self._default, self.special, self.flat, self.single = default, special, frozenset(flat), frozenset(single)
        self._archives = archives
        self._session = new_session()
        self._session.headers["Accept"] = _ACCEPT
        self._pages: dict[ProjectName, _Fetched] = {}
        self._files: dict[tuple[ProjectName, str], tuple[IndexFile, ...]] = {}
        self._flat: dict[str, Mapping[str, Page]] = {}

    @classmethod
    def of(cls, stack: Stack, store: Store | None = None) -> Index:
        """The indexes that a stack names; what was read of their pages is remembered in the store."""
        return cls(
            stack.indexes.get("default", ""),
            {project: stack.indexes[name] for project, name in stack.index_names.items()},
            stack.page_urls,
            PageMemory(store) if store else None,
            [stack.indexes[name] for name in stack.single],
            dict(_archives(stack)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._session.close()
        if self._memory and kind is None:
            self._memory.close()

    @cached_property
    def default(self) -> str:
        """URL of the index for projects that have none of their own."""
        return self._default or public_index()

    def url_of(self, project: ProjectName) -> str:
        """URL of the index that a project comes from."""
        return self.special.get(project, self.default)

    def versions(self, project: ProjectName, patience: Patience = PATIENCE) -> tuple[str, ...]:
        """Every version of a project that has a wheel or an sdist, in the page's order, without final zeros.

        Args:
            patience: how long to wait for an index that does not answer.

        Raises:
            ProjectNotOnIndex: when the index answers that it has no such page.
            HostUnreachable, HttpRefused, Truncated: as ``mirror.connected.fetching.transport.get_bytes``.
            BadReply: when the answer is no simple page, or too large for one.
        """
        if project in self._archives:
            return (spelt(self._archives[project].version),)
        if project not in self._pages:
            self._pages[project] = self._ask(project, patience)
        page = self._pages[project]
        return tuple(self._remembered(page, project, "", lambda: list(page.links), lambda entry: list(map(str, entry))))

    def files(self, project: ProjectName, version: str) -> tuple[IndexFile, ...]:
        """The wheels and sdists of one version, however it is spelt. Raises as ``versions``."""
        key = project, spelt(version)
        if project in self._archives:
            archive = self._archives[project]
            return (archive,) if spelt(archive.version) == key[1] else ()
        if key not in self._files:
            # Pages are kept only where all versions were asked for: together they are hundreds of megabytes.
            page = self._pages.get(project) or self._ask(project, PATIENCE)

            def read() -> list[IndexFile]:
                from mirror.connected.index import simplepage

                return simplepage.files_of(project, page.links.get(key[1], ()))

            def recalled(entry: Sequence[Any]) -> list[IndexFile]:
                return [IndexFile.from_dict(one, project) for one in entry]

            self._files[key] = tuple(self._remembered(page, project, key[1], read, recalled))
        return self._files[key]

    def _remembered(
        self,
        page: _Fetched,
        project: ProjectName,
        version: str,
        read: Callable[[], list[T]],
        recalled: Callable[[Sequence[Any]], list[T]],
    ) -> list[T]:
        """What a page says, from memory or by reading it."""
        if self._memory is None or not page.digest:
            return read()
        key = PageMemory.key(page.digest, page.url, project, version)
        entry = self._memory.recall(key)
        try:
            if entry is not None:
                return recalled(entry)
        except (LookupError, TypeError, ValueError):
            pass  # written by another version
        found = read()
        key = PageMemory.key(page.digest, page.url, project, version)  # the page may have been fetched only now
        if not any(isinstance(one, IndexFile) and redacted(one.url) != one.url for one in found):
            self._memory.remember(key, [one.to_dict() if isinstance(one, IndexFile) else one for one in found])
        return found

    def prefetch(self, wanted: Iterable[tuple[ProjectName, str]], progress: Progress = SILENT) -> None:
        """Ask for the files of many versions at once; ``files`` then answers from memory. Raises as ``versions``."""
        new = [one for one in dict.fromkeys(wanted) if (one[0], spelt(one[1])) not in self._files]
        new = [one for one in new if one[0] not in self._archives]
        self._at_once(lambda one: self.files(*one), new, progress)

    def prefetch_versions(self, projects: Iterable[ProjectName], progress: Progress = SILENT) -> None:
        """Ask for many pages at once; ``versions`` then answers from memory. Raises as ``versions``."""
        new = [one for one in dict.fromkeys(projects) if one not in self._pages and one not in self._archives]
        self._at_once(self.versions, new, progress)

    def _at_once(self, ask: Callable[[T], object], wanted: list[T], progress: Progress) -> None:
        if not wanted:
            return
        with progress.task("index", total=len(wanted), unit="pages") as advance, Crew(JOBS) as crew:
            for _ in crew.map(ask, wanted):
                advance(1)

    def hashed(self, file: IndexFile, progress: Progress = SILENT) -> IndexFile:
        """The file with a digest: the page's, or where it claims none, that of the bytes which its server gives now.

        Those bytes are trusted from here on, as a digest on a page would be: a lock holds every later copy to them.

        Raises:
            HostUnreachable, HttpRefused, Truncated: as ``mirror.connected.fetching.transport.get_bytes``.
        """
        if file.sha256:
            return file
        place = urlsplit(file.url).hostname or "the page"
        progress.say(f"{place} gives no sha256 for {file.filename}: its bytes are hashed now, and trusted from here on")
        return replace(file, sha256=get_digest(self._session, file.url))

    def _ask(self, project: ProjectName, patience: Patience) -> _Fetched:
        base = self.url_of(project)
        if base in self.flat or base in self.single:
            from mirror.connected.index import simplepage

            if base not in self._flat:
                self._flat[base] = simplepage.by_project(self._links(base, patience))
            page = simplepage.of_project(self._flat[base].get(project, {}), project)
            if not page:
                raise ProjectNotOnIndex(project, redacted(base))
            return _Fetched(base, b"", page)
        url = urljoin(base.rstrip("/") + "/", f"{project}/")
        try:
            return self._page(url, patience)
        except HttpRefused as exc:
            if exc.status in (404, 410):
                raise ProjectNotOnIndex(project, redacted(base), self._is_page(base, project)) from exc
            raise

    def _page(self, url: str, patience: Patience) -> _Fetched:
        """A page, or its digest where its server says that it is still the one that was seen."""

        def whole() -> bytes:
            return get_bytes(self._session, url, MAX_PAGE_BYTES, PATIENCE)

        if self._memory is None:
            return _Fetched(url, get_bytes(self._session, url, MAX_PAGE_BYTES, patience))
        known = self._memory.known(url)
        data, etag = get_if_changed(self._session, url, MAX_PAGE_BYTES, known.etag if known else "", patience)
        if data is None and known:
            return _Fetched(url, None, whole=whole, digest=known.digest)
        page = _Fetched(url, data)
        self._memory.note(url, etag, page.digest)
        return page

    def _links(self, url: str, patience: Patience = PATIENCE) -> Page:
        """The links of a page to files of any project, the files of a directory that a ``file:`` URL names, or the one file."""
        from mirror.connected.index import simplepage

        if url in self.single:
            return simplepage.page_of_file(url)
        directory = Path(unquote(urlsplit(url).path))
        if urlsplit(url).scheme == "file" and directory.is_dir():
            return simplepage.page_of_directory(directory)
        return simplepage.parse_page(get_bytes(self._session, url, MAX_PAGE_BYTES, patience), url)

    def _is_page(self, url: str, project: ProjectName) -> bool:
        """Whether what is called an index is a page with links to files of the project."""
        from mirror.connected.index import simplepage

        try:
            if urlsplit(url).scheme == "file":
                return bool(simplepage.of_project(self._links(url), project))
            # The root of a whole index has tens of megabytes, which nobody is to wait for.
            data = get_bytes(self._session, url, _MAX_ROOT_BYTES, PATIENCE)
            return bool(simplepage.of_project(simplepage.parse_page(data, url), project))
        except MirrorError:
            return False


def _archives(stack: Stack) -> Iterator[tuple[ProjectName, IndexFile]]:
    """What stands in an index's place: the one file of each project that is built from an archive of its own."""
    for project in stack.build:
        own, version = stack.archive_of(project), stack.stated_version(project)
        if own and version:
            archive = own.tree.archive
            yield project, IndexFile(archive.filename, archive.url, archive.sha256, "sdist", version)


class _Fetched:
    """A page that an index gave, parsed when somebody asks for its links; its bytes are let go of then.

    Args:
        whole: fetches the bytes of a page of which the digest alone is known.

    Attributes:
        url: its address.
        digest: of its bytes; empty where it was put together from others. Of a page that is fetched when somebody asks for
            its links, it is that of the bytes which came then.
    """

    def __init__(
        self,
        url: str,
        data: bytes | None,
        links: Page | None = None,
        whole: Callable[[], bytes] = bytes,
        digest: str = "",
    ) -> None:
        self.url, self._data, self._links, self._whole = url, data, links, whole
        self.digest = hashlib.sha256(data).hexdigest() if data else digest

    @property
    def links(self) -> Page:
        """Raises ``BadReply`` as ``parse_page``; where the page is still to be fetched, as ``get_bytes`` too."""
        if self._links is None:
            if self._data is None:
                self._data = self._whole()
                self.digest = hashlib.sha256(self._data).hexdigest()
            from mirror.connected.index import simplepage

            self._links, self._data = simplepage.parse_page(self._data, self.url), b""
        return self._links
