"""Generations as far as status, rollback, gc and the environment need them: a mark, a manifest, a receipt and a file.

Example::

    generation = put_generation(Prefix(tmp_path / "h100"), 5)
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.generations import Generation, Identity, Prefix
from mirror.core.bundle.manifest import Manifest
from mirror.core.names import Sha256Hex
from tests.support.bundles import this_machine
from tests.unit.closed.prefix.test_receipt import RECEIPT


def put_generation(prefix: Prefix, sequence: int, files: int = 1) -> Generation:
    """Install one and make it current."""
    manifest = Manifest("h100", sequence, this_machine(), ()).encode()
    digest = Sha256Hex(hashlib.sha256(manifest).hexdigest())
    with prefix.lock():
        with prefix.building(Identity.of(sequence, digest), digest) as generation:
            changes = {"name": "h100", "sequence": sequence, "manifest_sha256": digest}
            generation.manifest.write_bytes(manifest)
            generation.receipt.write_bytes(
                replace(RECEIPT, generation=str(generation.path), **changes).encode()  # type: ignore[arg-type]
            )
            generation.env_script.write_bytes(b"")
            (generation.venv / "bin").mkdir(parents=True)
            for number in range(files):
                (generation.venv / "bin" / f"program{number}").write_bytes(b"x" * 5000)
        prefix.activate(generation)
    return generation


def key_of(generation: Generation) -> str:
    return load_environment(generation).jit_key()
