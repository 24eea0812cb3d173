"""Parts of ``mirror bundle`` and ``mirror install`` that no command does alone, each as a process of its own.

Run as a file: ``python steps.py pack MEMBERS FILE``, ``steps.py fetch LOCK``, ``steps.py addresses LOCK DIR``, ``steps.py
unpack MEMBERS DIR``. MEMBERS is the directory into which a bundle was unpacked. They call the functions that the commands
call, start of Python included.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mirror.core.kinds import RPM, WHEEL

if TYPE_CHECKING:
    from mirror.connected.fetching.download import Download
    from mirror.connected.fetching.store import Store


def pack(members: Path, output: Path) -> None:
    """Write the very bundle that was unpacked."""
    from mirror.core.bundle import layout, writer
    from mirror.core.bundle.manifest import Manifest

    data = (members / layout.MANIFEST).read_bytes()
    manifest = Manifest.parse(data)
    signatures = [path.read_bytes() for path in sorted((members / "SIG").iterdir())]
    names = [layout.root_names(version) for version in range(1, len(manifest.roots) + 1)]
    roots = [((members / root).read_bytes(), (members / signed).read_bytes()) for root, signed in names]
    sources = {artifact.path: members / artifact.path for artifact in manifest.artifacts}
    writer.pack(manifest, data, signatures, roots, sources, output)


def fetch(lock: Path) -> None:
    """Bring the lock's projects into an empty store, as ``mirror bundle`` does."""
    from mirror.connected.fetching.fetch import fetch as bring
    from mirror.connected.fetching.store import Store

    store = Store.default()
    bring(_wanted(lock, store), store)


def addresses(lock: Path, directory: Path) -> None:
    """Write what ``curl --config`` and a comparison of digests need for the same files."""
    from mirror.connected.fetching.store import Store

    wanted = _wanted(lock, Store.default())
    config = "".join(f'url = "{one.url}"\noutput = "{one.filename}"\n' for one in wanted)
    (directory / "curl.txt").write_text(config)
    (directory / "sums").write_text("".join(sorted(f"{one.sha256} *{one.filename}\n" for one in wanted)))


def _wanted(lock: Path, store: Store) -> list[Download]:
    from mirror.connected.planning.wishes import Wishes
    from mirror.connected.prepare import prepare

    plan, _ = prepare(Wishes(lock, locked=True, without=frozenset({"toolchain"})), store)
    return [*(part.download for part in plan.of(WHEEL)), *(build.sdist for build in plan.builds if build.sdist)]


def unpack(members: Path, output: Path) -> None:
    """Make the CUDA tree of the RPMs, their signatures and digests checked."""
    from mirror.core.bundle.manifest import Manifest
    from mirror.core.toolkit.rpmsource import trusted_rpms
    from mirror.core.toolkit.toolchain import unpack_toolchain

    listed = json.loads((members / "meta/rpms.json").read_bytes())
    target = Manifest.parse((members / "MANIFEST.json").read_bytes()).target
    rpms = trusted_rpms(
        sorted((members / RPM.directory).iterdir()), keys=listed["key"], fingerprints=listed["fingerprints"]
    )
    unpack_toolchain(rpms, output, target)


if __name__ == "__main__":
    steps: dict[str, Callable[..., None]] = {"pack": pack, "fetch": fetch, "addresses": addresses, "unpack": unpack}
    steps[sys.argv[1]](*map(Path, sys.argv[2:]))
