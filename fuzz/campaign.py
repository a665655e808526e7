"""Tries inputs on a target until one shows a defect, or the time is over; and makes such an input small."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import FrameType
from typing import TypeVar

from fuzz.coverage import Coverage
from fuzz.mutation import Mutator

T = TypeVar("T")

PATIENCE_S = 5.0
"""No input of a few KiB may take longer."""
_SMALLER_TRIES = 400


class TooSlowError(Exception):
    """An input took longer than it may."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that shows a defect, and what came of it."""

    data: bytes
    error: BaseException


@dataclass(frozen=True, slots=True)
class Result:
    """How a campaign went. ``kept``: inputs that came to lines which none before had reached."""

    runs: int
    lines: int
    kept: Sequence[bytes]
    finding: Finding | None


def campaign(
    one: Callable[[bytes], None], seeds: Sequence[bytes], *, seconds: float, dice: Random, runs: int | None = None
) -> Result:
    """The seeds first, then what becomes of them; ends after ``runs`` tries, where that is given."""
    coverage, mutator = Coverage(), Mutator(seeds, dice)
    pool, kept, tried = list(seeds) or [b""], list[bytes](), 0
    end = time.monotonic() + seconds
    for data in _inputs(pool, mutator):
        if tried >= len(pool) - len(kept) and (time.monotonic() >= end or tried == runs):
            break
        tried += 1
        try:
            is_new = _in_time(lambda data=data: coverage.run(one, data))
        except Exception as error:  # whatever it is, it is a finding
            return Result(tried, coverage.lines, kept, Finding(smaller(one, data, error), error))
        if is_new and tried > len(seeds):
            pool.append(data)
            kept.append(data)
    return Result(tried, coverage.lines, kept, None)


def _inputs(pool: list[bytes], mutator: Mutator) -> Iterator[bytes]:
    yield from tuple(pool)
    while True:
        yield mutator.mutated(pool)


def tried(one: Callable[[bytes], None], data: bytes) -> Exception | None:
    """What comes of one input; ``None``: nothing is wrong with it."""
    try:
        _in_time(lambda: one(data))
    except Exception as error:  # whatever it is, it is a finding
        return error
    return None


def smaller(one: Callable[[bytes], None], data: bytes, error: BaseException) -> bytes:
    """The input with as much cut out as can be while the same kind of error comes of it."""
    length, tries = max(1, len(data) // 2), 0
    while length and tries < _SMALLER_TRIES and not isinstance(error, TooSlowError):
        at = 0
        while at < len(data) and tries < _SMALLER_TRIES:
            tries += 1
            less = data[:at] + data[at + length :]
            if type(tried(one, less)) is type(error):
                data = less
            else:
                at += length
        length //= 2
    return data


def _in_time(work: Callable[[], T]) -> T:
    with _patience():
        return work()


@contextmanager
def _patience() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {PATIENCE_S:g} s")

    former = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
