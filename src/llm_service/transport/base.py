"""The narrow port to the upstreams: send a request, be told of head, body, end or error; pause, resume, abort."""

from collections.abc import AsyncIterable, Mapping
from typing import Final, Literal, Protocol

from llm_service.domain import fact_in_order

Method = Literal["GET", "POST"]
FailureKind = Literal["connect", "connect_timeout", "tls", "disconnected", "protocol", "too_large", "pool"]

Reason = Literal[
    "unknown_name", "refused", "unreachable", "no_tls", "handshake", "expired", "not_yet_valid", "self_signed",
    "unknown_authority", "other_name", "certificate",
]  # fmt: skip

Body = bytes | AsyncIterable[bytes] | None
BODY_FAILED: Final = "the body of an upstream call"
"""Under this name is reported what the giver of pieces raised."""


@fact_in_order
class HttpRequest:
    """One request to an upstream. ``headers`` are complete but for what frames the body and Host.

    ``more_headers``: those that no other request has, such as where it belongs in a trace; none of ``headers``.
    ``body``: pieces of a body whose length nobody knows yet are sent in chunks as they come, and never sent again. What
    gives them is left where it stands when the answer is complete before they are.
    ``at_once``: it does not wait for what else this turn of the event loop sends. Streams that begin together go on in
    step where their upstream paces all alike, and their pieces then wait for each other.
    """

    method: Method
    url: str
    headers: Mapping[str, str]
    body: Body = None
    connect_s: float = 5.0
    more_headers: Mapping[str, str] | None = None
    at_once: bool = False


@fact_in_order
class HttpHead:
    """The head of an upstream's answer; headers are found by names in any case."""

    status: int
    headers: Mapping[str, str]


class TransportError(Exception):
    """The exchange with the upstream failed below HTTP, or its HTTP could not be understood.

    ``sent``: bytes of the request may have reached the upstream, so that it may already work and bill. ``reason``:
    why there is no connection, where that is known.
    """

    def __init__(self, kind: FailureKind, message: str, *, sent: bool, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.sent = sent
        self.reason: Reason | None = reason


class Receiver(Protocol):
    """Whoever asked. Calls come from the event loop, one at a time: ``on_head``, ``on_body`` any number of times,
    then ``on_end`` or ``on_error``. After ``abort`` no further call comes."""

    def on_head(self, head: HttpHead) -> None:
        """The answer's head has come."""

    def on_body(self, data: bytes) -> None:
        """A piece of the body, content encoding undone, as large as one socket read left it."""

    def on_end(self) -> None:
        """The body is complete."""

    def on_error(self, error: TransportError) -> None:
        """Nothing more comes, and the answer is not complete."""


class Flow(Protocol):
    """The hold on a request that was sent."""

    def pause(self) -> None:
        """Read no further from the upstream; what is buffered meanwhile is bounded."""

    def resume(self) -> None:
        """Go on reading."""

    def abort(self) -> None:
        """Close the connection to the upstream at once. Does nothing after the end."""


class Transport(Protocol):
    """A pooled HTTP client for one provider."""

    def send(self, request: HttpRequest, receiver: Receiver) -> Flow:
        """Send the request now; redirects are not followed, and nothing is retried."""

    async def aclose(self) -> None:
        """Abort what runs and close all connections."""
