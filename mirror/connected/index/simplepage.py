"""A page of an index, in HTML (PEP 503) or JSON (PEP 691): the links on it, by version, and the file behind a link.

``mirror.connected.index.pages`` asks for pages and remembers what they say, so that this module and the libraries under it are
loaded only where a page is to be read.

Rules: only versions are read of a whole page, for it may list fifteen thousand files of which a lock wants one. Files whose
names do not parse, or that belong to another project, are not seen.

Example::

    page = parse_page(body, url)
    file_of(project, page["2.10.0"][0])
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from pypi_simple import DistributionPackage, Link, ProjectPage, parse_links_stream

from mirror.connected.fetching.download import filename_of, redacted
from mirror.connected.fetching.transport import BadReply
from mirror.connected.index.indexfile import IndexFile, spelt, told_by_name
from mirror.connected.pins.standards import read_sdist_name, read_wheel_name
from mirror.core.fields import check_values
from mirror.core.names import ProjectName, Sha256Hex, sha256_hex

_ENDINGS = (".whl", ".tar.gz")

_UNENDED = re.compile(rb"(?:<[^<>]*){9}|<[^>]{65536}")
"""Tags without end: Python's HTML parser looks for the end of each as far as the page goes, and takes hours for 1 MB."""


@dataclass(frozen=True)
class Listed:
    """A file as a JSON page lists it, not looked at but for its name: of fifteen thousand, a lock wants one."""

    facts: Any
    project: str
    page: str

    def package(self) -> DistributionPackage:
        """All of it. Raises ``ValueError`` when it is not what PEP 691 says."""
        return DistributionPackage.from_json_data(self.facts, self.project, self.page)


Page = Mapping[str, Sequence[Link | Listed]]
"""A project's links by version, in the one spelling of ``spelt``."""


def parse_page(data: bytes, url: str) -> Page:
    """Read a simple page's body; relative links are relative to ``url``.

    Only versions are read here, for a page may list fifteen thousand files of which a lock wants one. What a server's page says
    of files of this machine is passed over, as a redirect to one is refused.

    Raises:
        BadReply: when the body is neither JSON (PEP 691) nor HTML (PEP 503) of a version that is known.
    """
    page: dict[str, list[Link | Listed]] = {}
    is_near = urlsplit(url).scheme == "file"
    try:
        if data.lstrip()[:1] == b"{":
            check_values(data)
            document = json.loads(data)
            files = document["files"]
            project = ProjectPage.from_json_data({**document, "files": []}, url).project
            for facts in files:
                if is_near or _is_remote(url, facts.get("url")):
                    page.setdefault(_version_of(facts["filename"]), []).append(Listed(facts, project, url))
        elif _UNENDED.search(data):
            raise ValueError("tags that do not end")
        else:
            # Five times faster than building the page's tree, and it is the same parser underneath.
            for link in map(_named, parse_links_stream([data], url)):
                if is_near or _is_remote(url, link.url):
                    page.setdefault(_version_of(link.text), []).append(link)
    except Exception as exc:  # the library and Python's HTML parser believe what they read: no list of these is whole
        raise BadReply(redacted(url), f"the body is no page of a package index ({type(exc).__name__})") from exc
    page.pop("", None)
    return page


def _is_remote(page: str, url: object) -> bool:
    """Whether a page's link leads to a server; one that is none leads nowhere."""
    try:
        return urlsplit(urljoin(page, str(url))).scheme in ("http", "https")
    except ValueError:
        return False


def _named(link: Link) -> Link:
    """A link whose text is its file's name, also where a server's listing cuts long names short (nginx, Apache)."""
    name = filename_of(link.url)
    if link.text.endswith(_ENDINGS) or not name.endswith(_ENDINGS):
        return link
    return Link(text=name, url=link.url, attrs=link.attrs)


def _version_of(filename: str) -> str:
    """The version that a file's name holds; empty for what can be no part of a lock (eggs, installers)."""
    if filename.endswith(".whl"):
        return spelt(filename.split("-")[1]) if "-" in filename else ""
    return spelt(filename.removesuffix(".tar.gz").rpartition("-")[2]) if filename.endswith(".tar.gz") else ""


def file_of(project: ProjectName, link: Link | Listed) -> IndexFile | None:
    """Our view of a link; None when its name does not parse, is another project's, or its sha256 is none."""
    try:
        package = DistributionPackage.from_link(link, project) if isinstance(link, Link) else link.package()
        claimed = package.digests.get("sha256")
        digest = Sha256Hex("") if claimed is None else sha256_hex(claimed)
        told = told_by_name(package.filename, project)
        scheme = urlsplit(package.url).scheme
        uploaded = int(package.upload_time.timestamp()) if package.upload_time else None
    except (ValueError, ArithmeticError):
        return None
    if scheme not in ("http", "https", "file"):
        return None
    return IndexFile(
        filename=package.filename,
        url=package.url,
        sha256=digest,
        size=package.size,
        requires_python=package.requires_python or "",
        yanked=(package.yanked_reason or "") if package.is_yanked else None,
        upload_time=uploaded,
        **told,
    )


def files_of(project: ProjectName, links: Iterable[Link | Listed]) -> list[IndexFile]:
    """The files behind links, as far as they are any of the project."""
    return [file for link in links if (file := file_of(project, link)) is not None]


def page_of_file(url: str) -> Page:
    """The page that one file is, by its URL."""
    link = _named(Link(text="", url=url, attrs={}))
    return {_version_of(link.text): [link]}


def page_of_directory(directory: Path) -> Page:
    """The page that a directory's files are. Raises ``OSError``."""
    page: dict[str, list[Link | Listed]] = {}
    for file in sorted(directory.iterdir()):
        page.setdefault(_version_of(file.name), []).append(Link(text=file.name, url=file.as_uri(), attrs={}))
    return page


def by_project(page: Page) -> Mapping[str, Page]:
    """A page of links taken apart, once for however many projects: by the names that its files begin with."""
    found: dict[str, dict[str, list[Link | Listed]]] = {}
    for version, links in page.items():
        for link in links:
            name = _name_of(link.text if isinstance(link, Link) else link.facts["filename"])
            found.setdefault(name, {}).setdefault(version, []).append(link)
    return found


def _name_of(filename: str) -> str:
    """The project that a file's name begins with; empty for a name that is no file's of any."""
    try:
        name = read_wheel_name(filename)[0] if filename.endswith(".whl") else read_sdist_name(filename)[0]
    except ValueError:
        return ""
    return str(name)


def of_project(page: Page, project: ProjectName) -> Page:
    """The part of a page that is of one project, by the names of its files."""
    kept = {version: [link for link in links if file_of(project, link)] for version, links in page.items()}
    return {version: links for version, links in kept.items() if links}
