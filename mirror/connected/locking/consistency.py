"""Whether the pins of a lock go together in what no resolver looks at: the CUDA that each is for.

``mirror.core.vetting.cuda`` finds; a ``[[waiver]]`` of ``NAME.toml`` accepts, as it does for what is found in the wheels.

Rule: what nobody has accepted is refused before a lock is written, so that nothing is fetched for a stack that cannot work.

Example::

    check_consistency(lock, stack)
"""

from __future__ import annotations

from mirror.connected.pins.requirements import PythonLock
from mirror.connected.stack.stack import Stack
from mirror.connected.stack.waivers import template
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.vetting.cuda import Part, cuda_findings
from mirror.core.vetting.rules import Finding, judge


class PinsDisagree(MirrorError):
    """Pins of a stack are for different releases of CUDA, or of FlashInfer, and nobody waived that."""

    ref = "pins-disagree"
    exit_code = FAMILIES["lock"]
    hint = (
        "Ask for other versions in NAME.toml, or set target.cuda to the release that torch is for; where it is known and "
        "accepted, write the [[waiver]] into NAME.toml with a reason and a name. Nothing was locked."
    )
    message = "{stack} cannot be locked so: {findings[0]} [{findings[0].rule}]{findings:more}"

    stack: str
    findings: tuple[Finding, ...]

    def context(self) -> str:
        return "\n".join([*(f"{one} [{one.rule}]" for one in self.findings[1:]), "", template(self.findings)]).lstrip(
            "\n"
        )


def check_consistency(lock: PythonLock, stack: Stack) -> None:
    """Refuse pins that do not go together.

    Args:
        lock: with who asked for each pin.

    Raises:
        PinsDisagree: with everything that no waiver covers.
    """
    asked: dict[str, list[str]] = {}
    for pin in lock.pins:
        for who in pin.via:
            asked.setdefault(who, []).append(pin.name)
    parts = [Part(pin.name, pin.version, tuple(asked.get(pin.name, ()))) for pin in lock.pins]
    judgement = judge(cuda_findings(parts, stack.target), stack.waivers)
    if judgement.open:
        raise PinsDisagree(stack.name, judgement.open)
