"""Serves like ``llm-service`` and watches itself: counts calls, or samples what runs.

    python -m bench.profiling.watched calls|times FILE serve --config ...

SIGUSR1 begins, the next one ends and writes what was found to FILE, and so on. For measurements alone: nothing of the
service knows of it.
"""

import json
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from bench.profiling.parts import HARNESS, Parts

from llm_service.cli import main

EVERY_S: Final = 0.001
"""Of CPU between two samples. Linux looks at each tick of its clock alone, so that there are some 250 a second."""


class Calls:
    """Counts calls of the event loop's thread, of Python and of C functions, exactly, by part and function."""

    def __init__(self) -> None:
        self._parts = Parts()
        self._counts: Counter[tuple[str, CodeType | str]] = Counter()

    def begin(self) -> None:
        self._counts.clear()
        sys.setprofile(self._called)

    def end(self) -> dict[str, Any]:
        sys.setprofile(None)
        named: Counter[tuple[str, str]] = Counter()
        for (part, code), count in self._counts.items():
            named[part, code if isinstance(code, str) else code.co_qualname] += count
        return {"calls": [[part, function, count] for (part, function), count in named.items() if part != HARNESS]}

    def _called(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self._counts[self._parts.of(frame), frame.f_code] += 1
        elif event == "c_call":
            self._counts[self._parts.of(frame), argument.__qualname__] += 1


class Times:
    """Samples the event loop's thread: what it took of the CPU since the last sample goes to the part it is in now.

    The timer runs while the process does: by the clock on the wall samples would come while the loop waits as well,
    and it would be charged for what others took before.
    """

    def __init__(self) -> None:
        self._parts = Parts()
        self._spent_ns: Counter[str] = Counter()
        self._last_ns = 0
        self._samples = 0

    def begin(self) -> None:
        self._spent_ns.clear()
        self._samples = 0
        signal.signal(signal.SIGPROF, self._sample)
        self._last_ns = time.thread_time_ns()
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def end(self) -> dict[str, Any]:
        signal.setitimer(signal.ITIMER_PROF, 0)
        del self._spent_ns[HARNESS]
        return {"spent_ns": dict(self._spent_ns), "samples": self._samples}

    def _sample(self, number: int, frame: FrameType | None) -> None:
        self._spent_ns[self._parts.of(frame)] += time.thread_time_ns() - self._last_ns
        self._samples += 1
        self._last_ns = time.thread_time_ns()  # what the sample itself takes is nobody's


class Watch:
    """Begins and ends by signal."""

    def __init__(self, watcher: Calls | Times, file: Path) -> None:
        self._watcher = watcher
        self._file = file
        self._watches = False

    def signalled(self, number: int, frame: FrameType | None) -> None:
        self._watches = not self._watches
        found: dict[str, Any] = {}
        if self._watches:
            self._watcher.begin()
        else:
            found = self._watcher.end()
        threads = {thread.native_id: thread.name for thread in threading.enumerate()}
        report = {"watches": self._watches, "threads": threads, **found}
        unfinished = self._file.with_suffix(".part")
        unfinished.write_text(json.dumps(report), encoding="utf-8")
        unfinished.rename(self._file)


def watched(kind: str, file: str, *arguments: str) -> None:
    watch = Watch(Calls() if kind == "calls" else Times(), Path(file))
    signal.signal(signal.SIGUSR1, watch.signalled)
    sys.argv = ["llm-service", *arguments]
    main()


if __name__ == "__main__":
    watched(*sys.argv[1:])
