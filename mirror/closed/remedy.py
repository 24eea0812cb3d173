"""What can be done about a damaged generation: going to another one at once, building it anew from its bundle, or removing it
where that was done.

``mirror.closed.soundness`` finds the damage; ``mirror status``, ``doctor`` and ``install`` say this of it.

Rule: a step is named only where it can be taken: no repair by a bundle that today's root refuses, no rollback to what lacks a
file.

Example::

    " ".join(remedies(generation, TrustStore.default()))
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.numbered import Stack, read_stack
from mirror.closed.prefix.receipt import receipt_or_problem
from mirror.closed.soundness import seems_whole
from mirror.closed.upgrade_check import unmet_today
from mirror.core.trust.truststore import TrustStore


def remedies(generation: Generation, store: TrustStore) -> Iterator[str]:
    """What to do, one sentence each."""
    root = generation.path.parents[1]
    stack, prefix = read_stack(Prefix(root)), shlex.quote(str(root))
    is_pointed_to = generation == stack.prefix.pointed_to()
    repair = stack.replaced_by(generation)
    if repair and not is_pointed_to:
        yield (
            f"Generation {stack.number(repair)} was built to repair {generation.name}, and 'mirror gc --prefix {prefix}' "
            "removes the damaged one."
        )
        return
    unmet = unmet_today(generation, store)
    if unmet:
        yield f"Today's root would refuse the bundle of {generation.name}, so it cannot be repaired: it {'; it '.join(unmet)}."
    other = next(whole_beside(stack, generation), None) if is_pointed_to else None
    if other:
        yield (
            f"'mirror rollback --prefix {prefix} --to {(number := stack.number(other))}' makes generation {number} current, of "
            "which no file is missing."
        )
    if not unmet:
        yield (
            f"'mirror install --repair BUNDLE --prefix {prefix}', with the bundle that it came from, builds it anew and breaks "
            "nothing that runs."
        )


def damaged_receipts(stack: Stack, but: Generation, store: TrustStore) -> Iterator[str]:
    """The generations whose receipt cannot be read, and what to do, a line each.

    Args:
        but: one that is not looked at.
    """
    for generation in stack.generations:
        problem = "" if generation == but else receipt_or_problem(generation)[1]
        if problem:
            name = f"generation {stack.number(generation)} ({generation.name})"
            yield f"the receipt of {name} cannot be used: {problem}. {' '.join(remedies(generation, store))}"


def whole_beside(
    stack: Stack, generation: Generation, whole: Callable[[Generation], bool] = seems_whole
) -> Iterator[Generation]:
    """Those of which nothing is missing, in the order in which somebody would go to them: the ways back, then later ones.

    Args:
        whole: tells it of one; before something is removed, ``is_whole``, which takes no failed look for an answer.
    """
    before = stack.before(generation)
    later = [
        other
        for other in reversed(stack.generations)
        if other not in (generation, *before) and other.name not in stack.prepared and not stack.replaced_by(other)
    ]
    return (other for other in (*before, *later) if whole(other))
