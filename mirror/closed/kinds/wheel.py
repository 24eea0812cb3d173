"""Wheels, installed: a venv, filled by the uv or the pip that the bundle carries, without a second copy of the wheels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mirror.closed.kinds.site import Site
from mirror.closed.preflight import REQUIREMENTS
from mirror.closed.venv.hostpackages import let_in
from mirror.closed.venv.venv import Venv, choose_installer, make_venv
from mirror.closed.venv.wheelserver import serving
from mirror.core.kinds import TOOL, WHEEL
from mirror.core.vetting.rules import COLLISION


def install(site: Site) -> None:
    """Nothing for a bundle without wheels. Raises as ``make_venv``."""
    if site.interpreter is None:
        return
    tools = [site.copy(tool) for tool in site.manifest.of(TOOL) if tool.name in ("uv", "pip")]
    installer = choose_installer(tools, site.work)
    requirements = site.manifest.find(REQUIREMENTS)
    assert requirements is not None, "preflight has seen it"
    with _links(site) as links:
        venv = Venv(
            path=site.generation.venv,
            interpreter=site.interpreter.path,
            name=site.manifest.name,
            requirements=site.copy(requirements),
            links=links,
            work=site.work,
            jobs=site.jobs,
            inherited=(site.lock,),  # should we be killed, the prefix stays locked while the installer lives
            last=site.waived(COLLISION),  # whose files somebody chose over other wheels'
        )
        make_venv(installer, venv)
    if site.plan.packages:
        let_in(site.plan.packages, site.generation.venv)
    site.installer = installer.name


@contextmanager
def _links(site: Site) -> Iterator[str]:
    """Where the installer finds the wheels: a page served out of the bundle, or a directory of copies."""
    wheels = site.manifest.of(WHEEL)
    total = sum(wheel.size for wheel in wheels)
    if site.plan.serve:
        with site.progress.task("install", total) as advance, serving(site.bundle.open, wheels, advance) as url:
            yield url
    else:
        with site.progress.task("extract", total) as advance:
            for wheel in wheels:
                site.copy(wheel)
                advance(wheel.size)
        yield WHEEL.directory  # relative to the installer's working directory: uv splits at commas, pip at blanks
