"""Starting a worker: a fork of the supervisor, which has no thread and no event loop, and ends when that ends."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Final

from llm_service.domain import fact
from llm_service.supervisor.channel import SupervisorsEnd

PR_SET_PDEATHSIG: Final = 1
RENEW: Final = signal.SIGUSR2
"""Asks the supervisor to replace its workers, one after the other. Not SIGUSR1, by which log rotation asks programs to
open their files anew: it would come every night."""
MINDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, RENEW, signal.SIGCHLD)
"""The signals that the supervisor acts on."""
Work = Callable[[socket.socket], None]
"""What a worker does with its end of the channel. It may raise."""


@fact
class Process:
    """A worker as its supervisor sees it."""

    pid: int
    channel: SupervisorsEnd

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)

    def exit_code(self) -> int | None:
        """How it ended (minus the signal's number when one ended it), None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if pid else None


def start(work: Work, *, not_its_own: Iterable[SupervisorsEnd], on_failure: Callable[[BaseException], None]) -> Process:
    """Fork. In the new process ``work`` is done, and nothing of the caller's ever runs. Raises OSError.

    ``not_its_own``: the channels to other workers. While one of them had a copy, nobody would notice our end by it.
    """
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, MINDED)  # one that comes now must not find the supervisor's handlers there
    try:
        pid = os.fork()
        if pid == 0:
            os._exit(_run(work, theirs, strange=(ours, *not_its_own), parent=parent, on_failure=on_failure))
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, MINDED)
    return Process(pid=pid, channel=SupervisorsEnd(ours))


def _run(
    work: Work,
    channel: socket.socket,
    *,
    strange: Iterable[socket.socket | SupervisorsEnd],
    parent: int,
    on_failure: Callable[[BaseException], None],
) -> int:
    """The whole life of the new process; its exit code."""
    try:
        _forget_signals()
        _end_with(parent)
        for one in strange:
            one.close()
        work(channel)
    except BaseException as failure:  # noqa: BLE001 - whatever it is, it must not run on in the supervisor's frames
        on_failure(failure)
        return 1
    else:
        return 0
    finally:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream.flush)


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGHUP, RENEW):
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, MINDED)


def _end_with(parent: int) -> None:
    """Have the kernel end this process when the supervisor's main thread ends (Linux, prctl(2)).

    Elsewhere the end of the channel tells the worker, as soon as its event loop turns.
    """
    if sys.platform == "linux":
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it has ended before that
        os._exit(1)


def _flush(flush: Callable[[], None]) -> None:
    try:
        flush()
    except OSError:  # nobody reads any more
        return
