"""The interpreter, set for a process that serves: most objects are short-lived, and threads take short turns."""

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from llm_service.runtime.clock import Clock

YOUNG_OBJECTS: Final = 20_000
"""How many more objects than at the last collection make the next one; those of requests in flight are fewer."""
TURN_S: Final = 0.0005
"""How long a thread may go on when another wants to: the one that ships records must not keep the loop waiting."""
LOW_EVERY_S: Final = 60.0


@contextmanager
def lasting() -> Iterator[None]:
    """What is made in the block lives on (imported modules, above all), and the collector looks at none of it.

    Measured: looking for garbage among fresh modules again and again is a sixth of the CPU time of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def settle_memory() -> None:
    """Call once, when everything is built: what lives by now lives on, and is looked at no more.

    Measured on the pass-through path: the default threshold of 700 costs a quarter of the CPU time of a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)
    sys.setswitchinterval(TURN_S)


def give_back() -> None:
    """Let the system have the memory that is free but still the process's own: garbage first, then what malloc keeps.

    Takes as long as a full collection, so it is for when memory is short.
    """
    gc.collect()
    if (trim := trimming()) is not None:
        trim(0)


def trimming() -> Callable[[int], object] | None:
    """malloc_trim(3), from any thread, other threads running meanwhile; None where the C library knows none."""
    from ctypes import CDLL

    trim: Callable[[int], object] | None = getattr(CDLL(None), "malloc_trim", None)
    return trim


async def keep_memory_low(clock: Clock) -> None:
    """Until cancelled, let the system have once a minute what malloc keeps: the most that an outage ever took.

    Without a collection, which stands still for 60 ms where 50,000 objects live. Trimming takes some 10 in a thread,
    where Python runs on until it wants memory of malloc: 7 ms where 90 MB go back at once, mostly less than one. Ends
    where the C library cannot.
    """
    await clock.sleep(LOW_EVERY_S)
    trim = trimming()
    while trim is not None:
        await asyncio.to_thread(trim, 0)
        await clock.sleep(LOW_EVERY_S)
