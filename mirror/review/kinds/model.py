"""Models, looked at again: pickles that nobody answers for, and safetensors files that are none."""

from __future__ import annotations

from mirror.core.bundle.manifest import Artifact
from mirror.core.bundle.reader import Bundle
from mirror.core.vetting.modelfile import vet_model_file
from mirror.core.vetting.rules import Finding


def look(bundle: Bundle, artifact: Artifact) -> tuple[Finding, ...]:
    """Raises as ``Bundle.open``."""
    with bundle.open(artifact) as stream:
        return tuple(vet_model_file(stream, artifact))
