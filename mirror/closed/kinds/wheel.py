"""Wheels, installed: a venv, filled by the uv or the pip that the bundle carries, without a second copy of the wheels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mirror.closed.kinds.destination import Destination
from mirror.closed.preflight import REQUIREMENTS
from mirror.closed.venv.hostpackages import let_in
from mirror.closed.venv.venv import Venv, choose_installer, make_venv
from mirror.closed.venv.wheelserver import serving
from mirror.core.kinds import TOOL, WHEEL
from mirror.core.vetting.rules import COLLISION


def install(destination: Destination) -> None:
    """Nothing for a bundle without wheels. Raises as ``make_venv``."""
    if destination.interpreter is None:
        return
    tools = [destination.copy(tool) for tool in destination.manifest.of(TOOL) if tool.name in ("uv", "pip")]
    installer = choose_installer(tools, destination.work)
    requirements = destination.manifest.find(REQUIREMENTS)
    assert requirements is not None, "preflight has seen it"
    with _links(destination) as links:
        venv = Venv(
            path=destination.generation.venv,
            interpreter=destination.interpreter.path,
            name=destination.manifest.name,
            requirements=destination.copy(requirements),
            links=links,
            work=destination.work,
            jobs=destination.jobs,
            inherited=(destination.lock,),  # should we be killed, the prefix stays locked while the installer lives
            last=destination.waived(COLLISION),  # whose files somebody chose over other wheels'
        )
        make_venv(installer, venv)
    if destination.plan.packages:
        let_in(destination.plan.packages, destination.generation.venv)
    destination.installer = installer.name


@contextmanager
def _links(destination: Destination) -> Iterator[str]:
    """Where the installer finds the wheels: a page served out of the bundle, or a directory of copies."""
    wheels = destination.manifest.of(WHEEL)
    total = sum(wheel.size for wheel in wheels)
    if destination.plan.serve:
        with (
            destination.progress.task("install", total) as advance,
            serving(destination.bundle.open, wheels, advance) as url,
        ):
            yield url
    else:
        with destination.progress.task("extract", total) as advance:
            for wheel in wheels:
                destination.copy(wheel)
                advance(wheel.size)
        yield WHEEL.directory  # relative to the installer's working directory: uv splits at commas, pip at blanks
