"""Background work that somebody owns and awaits, and coroutines that are run without a task for as long as they can."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

AGAIN_S: Final = 5.0
"""Longer than any clean-up of a cancelled task takes."""

OnFailure = Callable[[str, BaseException], None]


class Tasks:
    """The tasks of one owner. A failure is reported, never lost; ``aclose`` ends and awaits what still runs."""

    def __init__(self, on_failure: OnFailure) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        """Run the coroutine as a task of its own."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._on_failure(task.get_name(), failure)

    def report(self, work: str, failure: BaseException) -> None:
        """Report a failure that came before the work needed a task."""
        self._on_failure(work, failure)

    def __len__(self) -> int:
        return len(self._running)

    async def aclose(self) -> None:
        """Cancel what runs and wait until it has ended.

        Libraries lose cancellations now and then (redis-py while it reads, `wait_for` before Python 3.12): who has
        not ended after some seconds is told again.
        """
        running = set(self._running)
        while running:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=AGAIN_S)


class Rest:
    """What is left of a coroutine that has been begun; await it once, from any task."""

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        waits_for = self._waits_for
        while True:
            thrown: BaseException | None = None
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's to handle
                thrown = error
            try:
                waits_for = self._coroutine.send(None) if thrown is None else self._coroutine.throw(thrown)
            except StopIteration:
                return


class Done:
    """Something to await that is over."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, None]:
        return iter(())  # type: ignore[return-value]  # it yields nothing, and an iterator costs less


DONE: Final = Done()
"""In place of a coroutine, where what was asked for is done already."""


def begin(coroutine: Coroutine[Any, Any, Any]) -> Rest | None:
    """Run a coroutine up to its first wait: ``None`` when it came to its end, else what is left of it.

    Saves a task where nearly every call ends without waiting. The coroutine must not ask for its current task.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration:
        return None
    return Rest(coroutine, waits_for)
