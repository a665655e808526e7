"""What commands print: JSON for programs, sentences for people, and why there is nothing else to print."""

import errno
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import orjson


def print_json(value: object) -> None:
    """A value as indented JSON on standard output."""
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = ()) -> None:
    """Rows under their heads; the columns of ``right`` are numbers."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [
            text.rjust(width) if name in right else text.ljust(width)
            for name, text, width in zip(head, row, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())


class Progress:
    """Says on a terminal how far long work has come, on one line, and nothing where nobody looks."""

    def __init__(self, what: str) -> None:
        """``what`` is counted: ``records``."""
        self._what = what
        self._shown = False

    def __call__(self, count: int) -> None:
        """So many by now."""
        if sys.stderr.isatty():
            print(f"\r{count} {self._what}", end="", file=sys.stderr, flush=True)
            self._shown = True

    def end(self) -> None:
        """Leave a clean line."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def refuse(message: str, *, as_json: bool) -> int:
    """Say why the command cannot do its work; the exit code."""
    if as_json:
        print_json({"ok": False, "error": message})
    else:
        print(message, file=sys.stderr)
    return 2


def system_said(error: OSError, *, room: str) -> str:
    """What the system says, of which file, and to make ``room`` where the disk is full."""
    said = error.strerror or str(error)
    if error.filename:
        said = f"{error.filename}: {said}"
    return f"{said}: make room {room}" if error.errno in (errno.ENOSPC, errno.EDQUOT) else said


def cannot_log(path: Path | None, error: OSError) -> str:
    """What to do when the log file is not to be had."""
    return f"observability.log_file cannot be written: {path}: {error.strerror or error}."


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """What to do when an address is not to be had."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use: stop what listens there, or choose another port with --port."
    if isinstance(error, PermissionError):
        return f"No permission to listen on {where}: choose a port above 1023 with --port."
    return f"Cannot listen on {where}: {error.strerror or error}."
