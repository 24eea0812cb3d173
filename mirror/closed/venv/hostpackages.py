"""Packages that the host's Python brings: asked for, held against what the bundle needs of them, and let into the venv.

A bundle says in its signed manifest which projects it leaves to the host, and which versions its own wheels need
(``[python] host_packages`` in ``NAME.toml``). ``mirror.closed.preflight`` makes faults of ``issues``, the doctor findings.

Rules: the interpreter is asked as the venv will see it, without the caller's variables and without a user's own packages; the
venv sees its directories after its own, so that what is carried wins; their ``.pth`` files are not run.

Example::

    found = read_host_packages(Path("/usr/bin/python3.11"), manifest.host_packages)
    issues(manifest, found)     # ('vllm requires torch==2.11.0, and /usr/bin/python3.11 has torch 2.4.0',)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirror.closed.host.command import clean_environment, run
from mirror.closed.venv.sitepackages import site_packages
from mirror.core.bundle.manifest import Manifest
from mirror.core.errors import InvalidDocument, writing
from mirror.core.fields import strict_json
from mirror.core.names import project_name
from mirror.core.system.durable import write_file
from mirror.core.wheels.needs import Needs
from mirror.core.wheels.requirement import Requirement
from mirror.core.wheels.versions import satisfies

_LINK = "mirror-host-packages.pth"

_ASK = """\
import json, os, site, sys
from importlib import metadata
places = [place for place in site.getsitepackages() if os.path.isdir(place)]
found = {}
for one in metadata.distributions(path=places):
    name = one.metadata["Name"]
    if name:
        found.setdefault(name, [one.version, str(one.locate_file("")), list(one.requires or [])])
wanted = set(sys.argv[1:])
def normal(name):
    return name.lower().replace("_", "-").replace(".", "-")
print(json.dumps({"places": places, "packages": {name: one for name, one in found.items() if normal(name) in wanted}}))
"""

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class HostPackage:
    """One project of the host's.

    Attributes:
        version: as its METADATA has it.
        place: the directory that it is in.
        requires: its own ``Requires-Dist`` lines.
    """

    version: str
    place: str
    requires: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostPackages:
    """What an interpreter brings.

    Attributes:
        python: the interpreter.
        places: its directories of packages, in order.
        packages: those that were asked for and are there, by normalised name.
        problem: why it could not be asked; empty when it was.
    """

    python: Path
    places: tuple[str, ...] = ()
    packages: Mapping[str, HostPackage] = field(default_factory=dict)
    problem: str = ""

    def notes(self) -> Iterator[str]:
        """What of it is used; one sentence each."""
        for name, one in sorted(self.packages.items()):
            yield f"{name} {one.version} is the host's, in {one.place}"


def read_host_packages(python: Path, wanted: Iterable[str]) -> HostPackages:
    """Ask an interpreter for the projects that are wanted.

    Args:
        python: its executable; not inside a venv.
        wanted: normalised names.
    """
    finished = run([str(python), "-I", "-c", _ASK, *wanted], clean_environment(Path("/")), timeout_s=120)
    try:
        answer = strict_json(finished.output.encode(), "answer", _MOST_BYTES)
        packages = {
            str(project_name(name)): HostPackage(str(version), str(place), tuple(map(str, requires)))
            for name, (version, place, requires) in answer["packages"].items()
        }
        return HostPackages(python, tuple(map(str, answer["places"])), packages)
    except (InvalidDocument, ValueError, KeyError, TypeError):
        return HostPackages(python, (), problem=finished.tail(1) or f"exit {finished.code}")


def issues(manifest: Manifest, found: HostPackages) -> Iterator[str]:
    """Where what the host brings is not what the bundle needs, or needs other versions than the bundle carries."""
    if found.problem:
        yield f"{found.python} was to bring {', '.join(dict(manifest.host_packages))}, and cannot be asked: {found.problem}"
        return
    carried = {str(project_name(wheel.name)): wheel.version for wheel in manifest.wheels}
    for project, needs in manifest.host_packages:
        one = found.packages.get(project)
        if one is None:
            asking = (
                "; ".join(f"{by} requires {project}{wanted}" for by, wanted in needs)
                or "the stack leaves it to the host"
            )
            yield f"{found.python} does not bring {project} ({asking})"
            continue
        for by, wanted in needs:
            if not satisfies(one.version, wanted):
                version = carried.get(by, "")
                yield f"{by} {version} requires {project}{wanted}, and {found.python} has {project} {one.version} ({one.place})"
        yield from _conflicts(manifest, project, one, carried)


def _conflicts(manifest: Manifest, project: str, one: HostPackage, carried: Mapping[str, str]) -> Iterator[str]:
    """Carried wheels come first in the venv: the host's packages must get along with them."""
    walk = Needs({project: one.requires}, (), manifest.target)
    for line in one.requires:
        try:
            wanted = Requirement.parse(line)
            if (
                not walk.applies(project, wanted)
                or wanted.name not in carried
                or wanted.is_met_by(carried[wanted.name])
            ):
                continue
        except ValueError:
            continue  # nothing that could be compared
        yield (
            f"the host's {project} {one.version} ({one.place}) requires {wanted.name}{wanted.specifier}, and the bundle "
            f"carries {wanted.name} {carried[wanted.name]}"
        )


def let_in(found: HostPackages, venv: Path) -> None:
    """Let a venv see the host's packages, after its own. Raises ``Unwritable`` when the disk refuses."""
    with writing(venv):
        sites = site_packages(venv)
    for site in sites:
        write_file(site / _LINK, "".join(f"{place}\n" for place in found.places).encode())
