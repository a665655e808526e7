"""Brings what was written to the disk itself, in a thread, so that nobody on the event loop waits for a disk."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from llm_service.domain import LedgerUnavailable
from llm_service.runtime import sync_folder

INTERVAL_S: Final = 0.05
"""The most that a loss of power may take with it, apart from the time that the disk needs."""

Settled = asyncio.Future[None]
OnFailure = Callable[[OSError | None], None]
"""Called on the event loop when the disk fails, and with ``None`` when it works again."""


class Syncer:
    """Synchronises one journal's files; everybody who waits shares one call.

    ``every_s``: pause between two calls; 0: none, for those who wait for each.
    """

    def __init__(self, folder: Path, *, every_s: float, on_failure: OnFailure) -> None:
        self.synced_bytes = 0
        self._folder = folder
        self._every_s = every_s
        self._on_failure = on_failure
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-sync", daemon=True)
        self._dirty = False
        self._fd = -1
        self._written_bytes = 0
        self._new_files = True
        self._retired = list[tuple[int, int]]()
        self._waiting = list[Settled]()
        self._failing = False

    def start(self) -> None:
        """Begin, for those who wait on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def touch(self, fd: int, written_bytes: int) -> None:
        """So many bytes are written by now, the last of them to this file."""
        self._fd = fd
        self._written_bytes = written_bytes
        if not self._dirty:
            self._dirty = True
            self._wake.set()

    def retire(self, fd: int, size: int) -> None:
        """Take over a complete file: bring it to the disk, give back the space beyond its end, and close it."""
        if self._fd == fd:
            self._fd = -1
        with self._lock:
            self._retired.append((fd, size))
            self._new_files = True

    def reached(self) -> Settled:
        """Done when everything that is written by now is on the disk; raises LedgerUnavailable when the disk fails."""
        settled = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append(settled)
        self._dirty = True
        self._wake.set()
        return settled

    def stop(self) -> None:
        """Synchronise once more, and end. Blocks for as long as the disk takes."""
        self._ending.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        else:
            self._round()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._wake.wait()
            self._wake.clear()
            self._round()
            if self._every_s:
                self._ending.wait(self._every_s)
        self._round()

    def _round(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            retired, self._retired = self._retired, []
            new_files, self._new_files = self._new_files, False
        self._dirty = False
        fd, written_bytes = self._fd, self._written_bytes  # in this order: what is written later is later's business
        try:
            self._sync(fd, retired, new_files=new_files)
        except OSError as error:
            self._tell(error, waiting)
        else:
            self.synced_bytes = written_bytes
            self._tell(None, waiting)

    def _sync(self, fd: int, retired: list[tuple[int, int]], *, new_files: bool) -> None:
        for complete, size in retired:
            try:
                os.ftruncate(complete, size)
                os.fsync(complete)
            finally:
                os.close(complete)
        if fd >= 0 and fd not in (complete for complete, _ in retired):
            _sync_data(fd)
        if new_files:
            sync_folder(self._folder)

    def _tell(self, failure: OSError | None, waiting: list[Settled]) -> None:
        if self._loop is None:  # never started: there is nobody to tell
            return
        if waiting:
            self._loop.call_soon_threadsafe(_settle, waiting, failure)
        if failure is not None or self._failing:
            self._failing = failure is not None
            self._loop.call_soon_threadsafe(self._on_failure, failure)


def _settle(waiting: list[Settled], failure: OSError | None) -> None:
    for settled in waiting:
        if settled.done():  # who waited has given up
            continue
        if failure is None:
            settled.set_result(None)
        else:
            settled.set_exception(LedgerUnavailable("the disk with the records fails: the answer is not complete"))


def _sync_data(fd: int) -> None:
    sync = getattr(os, "fdatasync", os.fsync)  # macOS has only the latter
    sync(fd)
