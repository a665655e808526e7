"""Leaves out of a failure what it does not need."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

Step = TypeVar("Step")


def shrunk(
    steps: Sequence[Step],
    *,
    fails: Callable[[Sequence[Step]], bool],
    simpler: Callable[[Step], Iterable[Step]],
) -> Sequence[Step]:
    """Steps that still fail, but would not without any one of them, nor with any one made ``simpler``."""
    before: Sequence[Step] = ()
    while steps is not before:
        before = steps
        steps = _simplified(_fewer(steps, fails), fails, simpler)
    return steps


def _fewer(steps: Sequence[Step], fails: Callable[[Sequence[Step]], bool]) -> Sequence[Step]:
    """Without whole halves, quarters and so on, down to single steps; from the end, where most can be spared."""
    size = len(steps)
    while size := size // 2:
        for at in range(len(steps) - size, -1, -size):
            without = [*steps[:at], *steps[at + size :]]
            if fails(without):
                steps = without
    return steps


def _simplified(
    steps: Sequence[Step],
    fails: Callable[[Sequence[Step]], bool],
    simpler: Callable[[Step], Iterable[Step]],
) -> Sequence[Step]:
    for at in range(len(steps)):
        others = ([*steps[:at], other, *steps[at + 1 :]] for other in simpler(steps[at]))
        steps = next(filter(fails, others), steps)
    return steps
