"""A thread of its own for the embedder: loaded when it is first asked for, one text at a time, few that wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from llm_service.cache.semantic.embedder import Embedder

MOST_WAITING: Final = 8
"""More than so many questions at once are not looked up: a miss must not wait long for the chance of a hit."""
T = TypeVar("T")


class Lane:
    """Runs work with the embedder off the event loop. ``report`` hears why it could not be loaded, once."""

    def __init__(self, load: Callable[[], Embedder], *, report: Callable[[Exception], None]) -> None:
        self._load = load
        self._report = report
        self._embedder: Embedder | None = None
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._loading: asyncio.Future[Embedder] | None = None
        self._waiting = 0

    async def run(self, work: Callable[[Embedder], T | None]) -> T | None:
        """What the work gives; ``None`` also while the embedder is being loaded, or has too much to do."""
        embedder = self._ready()
        if embedder is None or self._thread is None or self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, embedder)
        finally:
            self._waiting -= 1

    async def loaded(self) -> bool:
        """Wait until the embedder is there, or known not to be."""
        self._ready()
        if self._loading is not None:
            await asyncio.wait((self._loading,))
            await asyncio.sleep(0)  # `_on_loaded` has its turn
        return self._embedder is not None

    def close(self) -> None:
        """Take no more work; what runs ends by itself."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None

    def _ready(self) -> Embedder | None:
        if self._loading is None and self._thread is not None:
            self._loading = asyncio.get_running_loop().run_in_executor(self._thread, self._load)
            self._loading.add_done_callback(self._on_loaded)
        return self._embedder

    def _on_loaded(self, loading: asyncio.Future[Embedder]) -> None:
        if loading.cancelled():
            return
        failure = loading.exception()
        if isinstance(failure, Exception):
            self._report(failure)
        elif failure is None:
            self._embedder = loading.result()
