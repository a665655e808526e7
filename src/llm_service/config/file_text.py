"""Reads a small text file, or says why that is not possible."""

from pathlib import Path


class Unreadable(Exception):
    """The file cannot be used; the message is the end of a sentence that begins with its name."""


def read_text(path: Path, *, max_bytes: int) -> str:
    """The file as text. Raises Unreadable when it is missing, forbidden, larger than `max_bytes` or not UTF-8."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL or a lone surrogate in its name
        raise Unreadable("cannot be read: it is no file name") from None
    if len(content) > max_bytes:
        raise Unreadable(f"is larger than {max_bytes} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"is not UTF-8 (line {line})") from None
