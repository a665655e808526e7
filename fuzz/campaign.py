"""Tries inputs on a target until one shows a defect, or the time is over; and makes such an input small."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import FrameType

from fuzz.coverage import Coverage
from fuzz.mutation import Mutator

PATIENCE_S = 5.0
"""No input of a few KiB may take longer."""
_SMALLER_TRIES = 400


class TooSlowError(Exception):
    """An input took longer than it may."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that shows a defect, and what came of it."""

    data: bytes
    error: Exception


@dataclass(frozen=True, slots=True)
class Result:
    """How a campaign went. ``kept``: inputs that came to lines which none before had reached."""

    runs: int
    lines: int
    kept: Sequence[bytes]
    finding: Finding | None


def campaign(
    one: Callable[[bytes], None],
    seeds: Sequence[bytes],
    *,
    seconds: float,
    dice: Random,
    runs: int | None = None,
    patience_s: float | None = PATIENCE_S,
) -> Result:
    """The seeds first, then what becomes of them; ends after ``runs`` tries, where that is given.

    ``patience_s`` takes the alarm of the process; ``None``: no input is held to a time.
    """
    coverage, mutator = Coverage(), Mutator(seeds, dice)
    pool, kept, tried = list(seeds) or [b""], list[bytes](), 0
    end = time.monotonic() + seconds
    for data in _inputs(pool, mutator):
        if tried >= len(pool) - len(kept) and (time.monotonic() >= end or tried == runs):
            break
        tried += 1
        try:
            with _patience(patience_s):
                is_new = coverage.run(one, data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            found = Finding(smaller(one, data, error, patience_s=patience_s), error)
            return Result(tried, coverage.lines, kept, found)
        if is_new and tried > len(seeds):
            pool.append(data)
            kept.append(data)
    return Result(tried, coverage.lines, kept, None)


def _inputs(pool: list[bytes], mutator: Mutator) -> Iterator[bytes]:
    yield from tuple(pool)
    while True:
        yield mutator.mutated(pool)


def what_comes_of(
    one: Callable[[bytes], None], data: bytes, *, patience_s: float | None = PATIENCE_S
) -> Exception | None:
    """What comes of one input; ``None``: nothing is wrong with it."""
    try:
        with _patience(patience_s):
            one(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return error
    return None


def smaller(
    one: Callable[[bytes], None], data: bytes, error: Exception, *, patience_s: float | None = PATIENCE_S
) -> bytes:
    """The input with as much cut out as can be while the same kind of error comes of it."""
    length, tries = max(1, len(data) // 2), 0
    while length and tries < _SMALLER_TRIES and not isinstance(error, TooSlowError):
        at = 0
        while at < len(data) and tries < _SMALLER_TRIES:
            tries += 1
            less = data[:at] + data[at + length :]
            if type(what_comes_of(one, less, patience_s=patience_s)) is type(error):
                data = less
            else:
                at += length
        length //= 2
    return data


@contextmanager
def _patience(seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise TooSlowError(f"more than {seconds:g} s")

    former = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
