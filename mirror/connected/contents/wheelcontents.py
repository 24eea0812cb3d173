"""What is inside a wheel: what its publisher says in METADATA, its licence texts, its compiled files.

``mirror.core.wheels.wheelfile`` reads the file, here with zlib-ng, which takes half the time of zlib; who reviews or installs
it reads with zlib. ``mirror.core.vetting.wheel``, which takes the same reading, judges whether it is a sound wheel, and what it
does to an environment.

Example::

    wheel_contents(Path("torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl"), scratch, advance).native.gpus
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.metadata import parse_email
from zlib_ng import zlib_ng

from mirror.connected.contents.inside import Contents, web_address, words
from mirror.connected.contents.licences import MAX_TEXT_BYTES, is_licence_file, licence_of, text_of
from mirror.core.progress import Advance
from mirror.core.wheels.wheelfile import read_wheel

_HOMES = ("homepage", "home", "home page", "website", "source", "source code", "repository", "github", "code")


def wheel_contents(path: Path, scratch: Path, advance: Advance) -> Contents:
    """Read a wheel through.

    Args:
        scratch: a directory for temporary copies of compiled files.
        advance: is told the bytes of the archive that were gone through.

    Raises:
        OSError: when the file cannot be read.
    """
    with path.open("rb") as stream:
        wheel = read_wheel(stream, advance, lambda name: MAX_TEXT_BYTES * is_licence_file(name), scratch, zlib_ng)
    sizes = {member.name: member.size for member in wheel.members}
    texts = {words(name): text_of(head, sizes[name]) for name, head in wheel.kept.items()}
    return Contents(
        texts=tuple(sorted(texts.items())),
        native=wheel.native,
        faults=(f"{path.name} cannot be read: {wheel.fault[1]}",) if wheel.fault else (),
        wheel=replace(wheel, kept={}),
        **_said(wheel.texts.get("METADATA", b"")),
    )


def _said(metadata: bytes) -> dict[str, Any]:
    """What the publisher says in METADATA."""
    raw, _ = parse_email(metadata)  # what occurs twice, or is in no encoding, is left out by it
    licence = licence_of(raw.get("license_expression", ""), raw.get("license", ""), raw.get("classifiers", ()))
    return {
        "summary": words(raw.get("summary", "")),
        "homepage": _homepage(raw.get("home_page", ""), raw.get("project_urls", {})),
        "licence": licence.expression,
        "licence_stated": words(licence.stated),
        "needs": tuple(raw.get("requires_dist", ())),
    }


def _homepage(home: str, addresses: Mapping[str, str]) -> str:
    labelled = {label.strip().lower(): address for label, address in addresses.items()}
    wanted = [home, *(labelled.get(label, "") for label in _HOMES), *addresses.values()]
    return next((found for address in wanted if (found := web_address(address))), "")
