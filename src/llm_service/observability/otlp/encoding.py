"""OTLP in its JSON form: attributes, spans and data points as protocol 1.7 writes them (opentelemetry-proto).

Ids are hexadecimal, 64-bit integers are texts, enumerations are numbers: that is what the protocol says of its JSON.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import orjson

Value: TypeAlias = str | bool | int | float | Sequence[str]
MAX_TEXT_CHARS: Final = 1024
"""Texts come from callers; no backend shows more of an attribute."""
SERVER: Final = 2
CLIENT: Final = 3
ERROR: Final = 2
CUMULATIVE: Final = 2
HAS_IS_REMOTE: Final = 0x100
IS_REMOTE: Final = 0x200
PIECE: Final = 128
"""As many data points are made at a time: some 2 ms."""
Made = TypeVar("Made")


class Pieces:
    """Lets the event loop turn while many things are made."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made = 0

    async def of(self, items: Iterable[Made]) -> list[Made]:
        """All of them; what they are made of must not change meanwhile."""
        made: list[Made] = []
        for item in items:
            made.append(item)
            self._made += 1
            if self._made % PIECE == 0:
                await asyncio.sleep(0)
        return made


def attributes(values: Mapping[str, Value], *, max_chars: int | None = MAX_TEXT_CHARS) -> list[dict[str, Any]]:
    """The attributes as key and value; texts are cut, unless they are already."""
    written: list[dict[str, Any]] = []
    for name, value in values.items():
        told: dict[str, Any]
        if isinstance(value, str):
            told = {"stringValue": value[:max_chars]}
        elif isinstance(value, float):
            told = {"doubleValue": value}
        elif isinstance(value, bool):  # before int, which it is one of
            told = {"boolValue": value}
        elif isinstance(value, int):
            told = {"intValue": str(value)}
        else:
            told = {"arrayValue": {"values": [{"stringValue": one[:max_chars]} for one in value]}}
        written.append({"key": name, "value": told})
    return written


def nanos(seconds: float) -> str:
    """Seconds since the epoch as OTLP has them."""
    return str(int(seconds * 1e9))


class Envelope:
    """What stands around everything that a process sends: who it is."""

    def __init__(self, resource: Mapping[str, Value], *, scope: str, version: str) -> None:
        self._resource = orjson.dumps({"attributes": attributes(resource)})
        self._scope = orjson.dumps({"name": scope, "version": version})

    def traces(self, spans: Sequence[bytes]) -> bytes:
        """A request for ``/v1/traces``."""
        return self._around(b"resourceSpans", b"scopeSpans", b"spans", spans)

    def metrics(self, metrics: Sequence[bytes]) -> bytes:
        """A request for ``/v1/metrics``."""
        return self._around(b"resourceMetrics", b"scopeMetrics", b"metrics", metrics)

    def _around(self, resources: bytes, scopes: bytes, items: bytes, parts: Sequence[bytes]) -> bytes:
        inner = b'{"scope":%b,"%b":[%b]}' % (self._scope, items, b",".join(parts))
        return b'{"%b":[{"resource":%b,"%b":[%b]}]}' % (resources, self._resource, scopes, inner)
