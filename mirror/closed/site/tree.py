"""Every path of a site that mirror makes itself: pages, repodata, METADATA beside the wheels, the vendors' keys.

Served by ``mirror.closed.site.server`` and written by ``mirror.closed.site.directory``, they are the same bytes::

    index.html
    simple/index.html, simple/index.json
    simple/PROJECT/index.html, index.json
    files/NAME.whl, NAME.whl.metadata
    rpms/NAME.rpm, RPM-GPG-KEY-...
    rpms/repodata/repomd.xml, ...

Rule: in the order in which they are to appear: what a page names comes before the page.

Example::

    made_files(wheels, packages, metadata, keys, revision)["simple/left-pad/index.html"]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from mirror.closed.site import pages
from mirror.closed.site.pages import SiteWheel
from mirror.closed.site.rpmmetadata import Package, repodata
from mirror.core.kinds import RPM

WHEELS, REPODATA = "files", RPM.path("repodata")
"""Where the wheels lie, and what RPMs are found by; the RPMs lie as they do in a bundle."""

_TYPES = {
    ".html": pages.HTML,
    ".json": pages.JSON,
    ".xml": "application/xml",
    ".gz": "application/gzip",
    ".metadata": "text/plain; charset=utf-8",
    ".whl": "application/zip",
    ".rpm": "application/x-rpm",
}


def content_type(path: str) -> str:
    """What a file of the site is, by its name."""
    if "/RPM-GPG-KEY-" in path:
        return "application/pgp-keys"
    return _TYPES.get(path[path.rfind(".") :], "application/octet-stream")


def file_path(filename: str) -> str:
    """Where a wheel or an RPM lies."""
    return RPM.path(filename) if filename.endswith(".rpm") else f"{WHEELS}/{filename}"


def made_files(
    wheels: Sequence[SiteWheel],
    packages: Sequence[Package],
    metadata: Mapping[str, bytes],
    keys: Mapping[str, bytes],
    revision: int,
) -> dict[str, bytes]:
    """The files beside the wheels and RPMs, by their paths, in the order in which they are to appear."""
    files = {f"{WHEELS}/{name}.metadata": text for name, text in metadata.items()}
    files.update((RPM.path(name), key) for name, key in keys.items())
    if packages:
        files.update((f"{REPODATA}/{name}", data) for name, data in repodata(packages, revision).items())
    projects: dict[str, list[SiteWheel]] = defaultdict(list)
    for wheel in sorted(wheels, key=lambda wheel: (wheel.project, wheel.filename)):
        projects[wheel.project].append(wheel)
    for project, found in projects.items():
        files[f"simple/{project}/index.html"] = pages.project_html(project, found)
        files[f"simple/{project}/index.json"] = pages.project_json(project, found)
    files["simple/index.html"] = pages.projects_html(projects)
    files["simple/index.json"] = pages.projects_json(projects)
    files["index.html"] = pages.home_html(bool(packages), keys)
    return files
