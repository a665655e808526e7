"""What commands print: JSON for programs, sentences for people, and why there is nothing else to print."""

import errno
import sys

import orjson


def print_json(value: object) -> None:
    """A value as indented JSON on standard output."""
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def refuse(message: str, *, as_json: bool) -> int:
    """Say why the command cannot do its work; the exit code."""
    if as_json:
        print_json({"ok": False, "error": message})
    else:
        print(message, file=sys.stderr)
    return 2


def cannot_listen(host: str, port: int, error: OSError) -> str:
    """What to do when an address is not to be had."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use: stop what listens there, or choose another port with --port."
    if isinstance(error, PermissionError):
        return f"No permission to listen on {where}: choose a port above 1023 with --port."
    return f"Cannot listen on {where}: {error.strerror or error}."
