"""Who sends a request, and what they showed for it."""

from dataclasses import dataclass
from typing import Literal

Scope = Literal["inference", "read", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request shows of its sender, whichever door it came through.

    ``key``: the presented api key, ``None`` when none was. ``peer``: the other end's IP address. ``host``: the Host
    header. ``forwarded``: some proxy says that it forwards. ``json_body``: false for a POST of another content type.
    """

    key: str | None
    peer: str | None
    host: str
    origin: str | None
    forwarded: bool
    json_body: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends requests: ``key_id`` names the api key, or ``local`` / ``admin``."""

    key_id: str
    scopes: frozenset[Scope]
