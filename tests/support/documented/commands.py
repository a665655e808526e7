"""``llm-service`` as a shell of a page finds it: runs of the program without the half second of imports.

A small program on the path hands its arguments, variables, folder and streams to a thread here, which forks a process
that has imported everything (``tests.support.zygote``), passes SIGTERM on, and gives the exit code back.
"""

import os
import re
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import typer

from llm_service.cli.app import app
from tests.support.process import Place, start

PROGRAM = """\
#!{python} -ISs
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({path!r})
    said = {{"arguments": sys.argv[1:], "variables": dict(os.environ), "folder": os.getcwd()}}
    socket.send_fds(asked, [b"!"], [0, 1, 2])
    asked.sendall(json.dumps(said).encode() + b"\\n")
    signal.signal(signal.SIGTERM, lambda *_: asked.send(b"end"))
    raise SystemExit(int(asked.recv(64)))
"""


class NotUnderstood(Exception):
    """The program has no such command, or the command no such option."""


def parsed(arguments: Sequence[str]) -> Any:
    """What the program makes of these arguments: the context of the command. NotUnderstood where it makes nothing."""
    command, rest = command_of(arguments)
    if hasattr(command, "commands"):
        raise NotUnderstood(f"llm-service {' '.join(arguments)}: there is no such command")
    try:
        return command.make_context("llm-service", rest)
    except Exception as error:
        if not hasattr(error, "format_message"):  # a mistake of ours, not in the words of the line
            raise
        raise NotUnderstood(f"llm-service {' '.join(arguments)}: {error.format_message()}") from error


def command_of(arguments: Sequence[str]) -> tuple[Any, list[str]]:
    """The command, or the group of commands, that the first words name; the words behind them."""
    command, rest = typer.main.get_command(app), [*arguments]
    while rest and rest[0] in getattr(command, "commands", ()):
        command = command.commands[rest.pop(0)]
    return command, rest


def check_named(arguments: Sequence[str]) -> None:
    """What a sentence names, in whatever part. NotUnderstood where there is no such command, or no such option."""
    command, rest = command_of(arguments)
    known = {spelling for option in command.params for spelling in option.opts} | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word.partition("=")[0] not in known]
    if unknown or (hasattr(command, "commands") and rest and re.match("[a-z]", rest[0])):
        raise NotUnderstood(f"llm-service {' '.join(arguments)}: there is no {unknown or rest[0]}")


@dataclass(frozen=True)
class Asked:
    """One start of the program from a shell."""

    arguments: tuple[str, ...]
    variables: Mapping[str, str]

    def at(self, address: str, folder: Path) -> "Asked":
        """The same for this service instead of the one on the usual port; a service of its own gets a free port."""
        if self.arguments[:1] in (("serve",), ("sandbox",)):
            return self._serving(folder)
        if not {"--help", "--version", "--url"}.isdisjoint(self.arguments) or self.arguments[:1] == ("health",):
            return self
        takes_address = any(option.name == "url" for option in parsed(self.arguments).command.params)
        return Asked((*self.arguments, *(("--url", address) if takes_address else ())), self.variables)

    def _serving(self, folder: Path) -> "Asked":
        command, *options = self.arguments
        while "--port" in options:
            at = options.index("--port")
            del options[at : at + 2]
        kept = {name: value for name, value in self.variables.items() if not name.startswith("LLM_SERVICE_")}
        own = {"STATE_DIRECTORY": str(folder / "state-of-its-own")}
        return Asked((command, *options, "--port", "0"), {**kept, **own})


class Desk:
    """Answers those small programs. ``address``: the service that their commands are about."""

    def __init__(self, socket_path: Path, address: str) -> None:
        self._address = address
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(socket_path))
        self._listening.listen(16)
        self._taking = threading.Thread(target=self._take, daemon=True)
        self._taking.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._taking.join()

    def _take(self) -> None:
        with suppress(OSError):  # closed
            while True:
                asking, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(asking,), daemon=True).start()

    def _serve(self, asking: socket.socket) -> None:
        with asking:
            _, (stdin, stdout, stderr), *_ = socket.recv_fds(asking, 1, 3)
            try:
                with asking.makefile("rb", buffering=0) as said:
                    code = self._run(asking, orjson.loads(said.readline()), (stdin, stdout, stderr))
            finally:
                for stream in (stdin, stdout, stderr):
                    os.close(stream)
            with suppress(BrokenPipeError):
                asking.send(str(code).encode())

    def _run(self, asking: socket.socket, said: Any, streams: tuple[int, int, int]) -> int:
        folder = Path(said["folder"])
        try:
            asked = Asked(tuple(said["arguments"]), said["variables"]).at(self._address, folder)
        except NotUnderstood as error:
            os.write(streams[2], f"{error}\n".encode())
            return 2
        process = start(Place(folder, asked.variables), *asked.arguments, streams=streams)
        over = threading.Event()
        ending = threading.Thread(target=self._end_when_told, args=(asking, process, over), daemon=True)
        ending.start()
        code = process.wait()
        over.set()
        return code if code >= 0 else 128 - code

    @staticmethod
    def _end_when_told(asking: socket.socket, process: Any, over: threading.Event) -> None:
        """Its small program was told to end, or is gone."""
        with suppress(OSError):  # closed: it is over
            asking.recv(16)
        if not over.is_set():
            process.send_signal(signal.SIGTERM)


@contextmanager
def llm_service_on_path(folder: Path, address: str) -> Iterator[None]:
    """The small program in this folder, and the desk that answers it until the block ends."""
    place = folder / "desk"
    desk = Desk(place, address)
    program = folder / "llm-service"
    program.write_text(PROGRAM.format(python=sys.executable, path=str(place)), encoding="utf-8")
    program.chmod(stat.S_IRWXU)
    try:
        yield
    finally:
        desk.close()
