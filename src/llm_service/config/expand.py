"""`${VAR}`, `${VAR:-default}` and `file:PATH` in a value; what comes out of them is never shown in a message."""

import re
from collections.abc import Mapping
from pathlib import Path

from llm_service.config.file_text import Unreadable, read_text
from llm_service.config.mistake import shown
from llm_service.config.node import Scalar

MAX_FILE_BYTES = 64 * 1024

_FILE = "file:"
_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


class NotExpandable(Exception):
    """A reference in a value leads nowhere; the message says which."""


def expand(scalar: Scalar, environ: Mapping[str, str]) -> str | None:
    """The value with its references resolved; None when it is nothing but references that are empty by default.

    `$${` stands for a plain `${`. What a variable or a file holds is not expanded again. Raises NotExpandable.
    """
    text, source = scalar.text, scalar.place.source
    if not source.expands:
        return text
    if text.startswith(_FILE):
        written = text.removeprefix(_FILE)
        return _file_text(_resolve(written, environ), written=written, folder=source.folder)
    expanded = _resolve(text, environ)
    return None if text and not expanded else expanded


def _resolve(text: str, environ: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: _referred(match, environ), text) if "${" in text else text


def _referred(match: re.Match[str], environ: Mapping[str, str]) -> str:
    if match[0] == "$${":
        return "${"
    inside = _INSIDE.fullmatch(match[1])
    if not match[2] or inside is None:
        raise NotExpandable("holds a ${ that is not ${NAME} or ${NAME:-default} (a plain one is written $${)")
    name, default = inside[1], inside[2]
    value = environ.get(name, "")
    if value:
        return value
    if default is None:
        state = "set but empty" if name in environ else "not set"
        raise NotExpandable(f"refers to the variable {name}, which is {state}")
    return default


def _file_text(name: str, *, written: str, folder: Path) -> str:
    if not name:
        raise NotExpandable("has file: without a path")
    path = folder / name
    file = f"refers to the file {shown(str(path) if written == name else written)}, which"
    try:
        text = read_text(path, max_bytes=MAX_FILE_BYTES).rstrip("\r\n")
    except Unreadable as error:
        raise NotExpandable(f"{file} {error}") from None
    if not text:
        raise NotExpandable(f"{file} is empty")
    return text
