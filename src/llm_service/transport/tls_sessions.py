"""TLS sessions, resumed while they are young: a second handshake with a server then costs both sides a fraction."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

SESSION_S: Final = 600.0
"""How long after a whole handshake: resuming verifies no certificate, and one that has expired must be noticed."""
MAX_NAMES: Final = 256


class TlsSessions:
    """The last session with each server by its name, which is what certificates are verified for.

    A session is kept when the first answer has come: TLS 1.3 gives it only behind the handshake (RFC 8446, section
    4.6.1). asyncio has no parameter for it, so the context makes its connections of a class that offers one.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: dict[str, tuple[ssl.SSLSession, float]] = {}

    def offer(self, context: ssl.SSLContext) -> None:
        """Let new connections of this context, and of no other one, offer what is kept."""
        context.sslobject_class = type("Resuming", (_Resuming,), {"sessions": self})

    def keep(self, transport: asyncio.BaseTransport | None) -> None:
        """Keep the session of a connection that has had an answer."""
        made = None if transport is None else transport.get_extra_info("ssl_object")
        if not isinstance(made, _Resuming) or made.session is None or not made.session.has_ticket:
            return
        name = made.server_hostname or ""
        verified_at = made.verified_at if made.session_reused else self._now()
        if name in self._kept and self._kept[name][1] > verified_at:
            return
        if len(self._kept) >= MAX_NAMES:  # a provider has a few
            self._kept.clear()
        self._kept[name] = made.session, verified_at

    def of(self, name: str) -> tuple[ssl.SSLSession, float] | None:
        """The session with the server of this name, and when it was verified; ``None``: there is none, or too old."""
        kept = self._kept.get(name)
        if kept is not None and self._now() - kept[1] > SESSION_S:
            del self._kept[name]
            return None
        return kept


class _Resuming(ssl.SSLObject):
    sessions: TlsSessions
    verified_at = 0.0
    _begun = False

    def do_handshake(self) -> None:
        """Offer a session before the first step; the server takes it, or asks for a whole handshake."""
        if not self._begun:
            self._begun = True
            if (kept := self.sessions.of(self.server_hostname or "")) is not None:
                self.session, self.verified_at = kept
        super().do_handshake()


__all__ = ["TlsSessions"]
