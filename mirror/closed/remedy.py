"""What can be done about a damaged generation: going to another one at once, and building it anew from its bundle.

``mirror.closed.soundness`` finds the damage; ``mirror status --check`` and ``mirror doctor`` say this of it.

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
from mirror.closed.soundness import seems_whole
from mirror.closed.upgrade_check import unmet_today
from mirror.core.trust.truststore import TrustStore


def remedies(generation: Generation, store: TrustStore) -> Iterator[str]:
    """What to do, one sentence each."""
    root = generation.path.parents[1]
    stack, prefix = read_stack(Prefix(root)), shlex.quote(str(root))
    unmet = unmet_today(generation, store)
    if unmet:
        yield f"Today's root would refuse the bundle of {generation.name}, so it cannot be repaired: it {'; it '.join(unmet)}."
    other = next(whole_beside(stack, generation), None)
    if other and generation == stack.prefix.pointed_to():
        yield (
            f"'mirror rollback --prefix {prefix} --to {(number := stack.number(other))}' makes generation {number} current, of "
            "which no file is missing."
        )
    if not unmet:
        yield (
            f"'mirror install --repair BUNDLE --prefix {prefix}', with the bundle that it came from, builds it anew and breaks "
            "nothing that runs."
        )


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
