"""The process that ``tests.support.zygote`` forks the program from: it has imported all of it, and run none."""

import fcntl
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import sys
import termios
from typing import Any

import llm_service.cli
from llm_service.runtime import lasting

REQUEST_BYTES = 1 << 20
NOT_BY_SERVE = (
    *("encodings.idna", "llm_service.sandbox", "uvicorn.lifespan.off"),
    *("asyncpg", "ctypes", "redis.asyncio", "ruamel.yaml"),
)
"""What a service imports beside ``serve`` itself, as late as it needs it."""
PR_SET_PDEATHSIG = 1


def import_all() -> None:
    """Every command, and what a service comes to import."""
    commands = (found.name for found in pkgutil.iter_modules(llm_service.cli.__path__, "llm_service.cli."))
    with lasting():
        for name in (*commands, *NOT_BY_SERVE):
            importlib.import_module(name)


def become_a_child(control: socket.socket) -> None:
    """Answer requests. Returns in forks alone, ready to be the program; ends this process with whoever asks."""
    here = os.getpid()
    while True:
        message, given, *_ = socket.recv_fds(control, REQUEST_BYTES, 4)
        if not message:
            os._exit(0)
        answering, *streams = given
        request = json.loads(message)
        if "ended" in request:
            _, answer = os.waitpid(request["ended"], 0)
        elif (answer := os.fork()) == 0:
            os.close(answering)
            control.close()
            end_with(here)
            take_on(streams, **request)
            return
        os.write(answering, str(answer).encode())
        for one in (answering, *streams):
            os.close(one)


def end_with(parent: int) -> None:
    """Have the kernel end this process when its parent ends (Linux, prctl(2))."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it has ended before that
        os._exit(1)


def take_on(
    streams: list[int], *, arguments: list[str], environment: dict[str, str], folder: str, owning_its_terminal: bool
) -> None:
    """What else a process is given when it is executed."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if owning_its_terminal:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.orig_argv = [sys.executable, "-P", "-m", "llm_service", *arguments]
    sys.argv = ["-m", *arguments]
    sys.stdin = sys.__stdin__ = stream_of(0, "r", like=sys.stdin)
    sys.stdout = sys.__stdout__ = stream_of(1, "w", like=sys.stdout)
    sys.stderr = sys.__stderr__ = stream_of(2, "w", like=sys.stderr)
    sys.stderr.reconfigure(line_buffering=True)


def stream_of(number: int, mode: str, *, like: Any) -> Any:
    """As the interpreter opens it when it starts: buffered by lines on a terminal."""
    stream: Any = open(number, mode, encoding=like.encoding, errors=like.errors, newline="\n", closefd=False)  # noqa: SIM115
    stream.buffer.raw.name = like.name
    return stream


if __name__ == "__main__":
    import_all()
    become_a_child(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("llm_service", run_name="__main__", alter_sys=True)
