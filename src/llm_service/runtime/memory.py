"""The interpreter, set for a process that serves: most objects are short-lived, and threads take short turns."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_OBJECTS: Final = 20_000
"""How many more objects than at the last collection make the next one; those of requests in flight are fewer."""
TURN_S: Final = 0.0005
"""How long a thread may go on when another wants to: the one that ships records must not keep the loop waiting."""


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

    Takes as long as a full collection, so it is for when memory is short. Where the C library knows no malloc_trim(3),
    the collection is all.
    """
    from ctypes import CDLL

    gc.collect()
    trim = getattr(CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
