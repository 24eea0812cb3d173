"""The pages of a Python package index: PEP 503 in HTML and PEP 691 in JSON, with PEP 658's metadata beside each wheel.

Pure functions over what is known of the wheels. ``mirror.closed.site.tree`` says where each page lies.

Rules: links are relative, so that a site may put the tree behind any address; each carries the wheel's sha256; the same wheels
give the same bytes.

Example::

    project_html("left-pad", wheels)
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

HTML = "text/html; charset=utf-8"
JSON = "application/vnd.pypi.simple.v1+json"
_VERSION = "1.1"
"""Of the pages: PEP 700, which adds sizes and versions."""


@dataclass(frozen=True)
class SiteWheel:
    """What an index tells of a wheel.

    Attributes:
        project: normalised.
        requires_python: as its METADATA says; empty when that says nothing.
        metadata_sha256: of that METADATA; empty when it could not be read.
    """

    filename: str
    project: str
    version: str
    size: int
    sha256: str
    requires_python: str = ""
    metadata_sha256: str = ""


def projects_html(projects: Iterable[str]) -> bytes:
    """The page that lists every project."""
    return _page("Simple index", (f'<a href="{name}/">{name}</a><br>' for name in projects))


def projects_json(projects: Iterable[str]) -> bytes:
    return _json({"projects": [{"name": name} for name in projects]})


def project_html(project: str, wheels: Sequence[SiteWheel]) -> bytes:
    """The page of one project."""
    return _page(f"Links for {project}", map(_link, wheels))


def project_json(project: str, wheels: Sequence[SiteWheel]) -> bytes:
    versions = list(dict.fromkeys(wheel.version for wheel in wheels))
    return _json({"name": project, "versions": versions, "files": [_file(wheel) for wheel in wheels]})


def home_html(has_packages: bool, keys: Iterable[str]) -> bytes:
    """The page at the top, for a person who looks.

    Args:
        keys: file names of the keys that the packages are signed with.
    """
    links = ['<a href="simple/">simple/</a>: Python packages, for pip and uv<br>']
    if has_packages:
        links.append('<a href="rpms/repodata/repomd.xml">rpms/</a>: RPM packages, for dnf and zypper<br>')
    links += [f'<a href="rpms/{key}">rpms/{key}</a>: the key they are signed with<br>' for key in sorted(keys)]
    return _page("Out of a verified bundle", links)


def _url(wheel: SiteWheel) -> str:
    return f"../../files/{quote(wheel.filename)}"


def _link(wheel: SiteWheel) -> str:
    attributes = {"href": f"{_url(wheel)}#sha256={wheel.sha256}"}
    if wheel.requires_python:
        attributes["data-requires-python"] = wheel.requires_python
    if wheel.metadata_sha256:
        # PEP 714: older clients know the first of these names alone.
        told = f"sha256={wheel.metadata_sha256}"
        attributes.update({"data-dist-info-metadata": told, "data-core-metadata": told})
    words = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<a {words}>{html.escape(wheel.filename)}</a><br>"


def _file(wheel: SiteWheel) -> dict[str, Any]:
    told = {"filename": wheel.filename, "url": _url(wheel), "hashes": {"sha256": wheel.sha256}, "size": wheel.size}
    if wheel.requires_python:
        told["requires-python"] = wheel.requires_python
    if wheel.metadata_sha256:
        metadata = {"sha256": wheel.metadata_sha256}
        told.update({"dist-info-metadata": metadata, "core-metadata": metadata})
    return told


def _json(facts: dict[str, Any]) -> bytes:
    return json.dumps({"meta": {"api-version": _VERSION}, **facts}, indent=1).encode("ascii") + b"\n"


def _page(title: str, lines: Iterable[str]) -> bytes:
    head = f'<meta name="pypi:repository-version" content="{_VERSION}"><title>{html.escape(title)}</title>'
    body = "\n".join(lines)
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>\n{body}\n</body></html>\n".encode()
