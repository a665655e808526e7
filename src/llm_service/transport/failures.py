"""What both clients say of a failed exchange. The messages name no address, no header and no secret."""

import os
import socket

from llm_service.transport.base import TransportError


def connect_late() -> TransportError:
    """No connection in time."""
    return TransportError("connect_timeout", "no connection within connect_s", sent=False)


def tls_refused() -> TransportError:
    """The upstream is not who it should be, or speaks no TLS."""
    return TransportError("tls", "TLS failed: certificate or handshake refused", sent=False)


def cannot_connect(error: BaseException) -> TransportError:
    """No connection. The system's own words for the error: those of the event loop name the address."""
    reason = "refused"
    if isinstance(error, socket.gaierror):
        reason = error.strerror or "the name is not known"
    elif isinstance(error, OSError) and error.errno:
        reason = os.strerror(error.errno)
    return TransportError("connect", f"cannot connect: {reason}", sent=False)


def cut_off(*, answered: bool, sent: bool = True) -> TransportError:
    """The connection closed before its time; ``answered``: after the head of the answer."""
    said = "the connection closed before the answer was complete" if answered else "the connection closed unanswered"
    return TransportError("disconnected", said, sent=sent)


def no_http() -> TransportError:
    """What came is not understood."""
    return TransportError("protocol", "the answer is not HTTP as it should be", sent=True)


def not_handled() -> TransportError:
    """The receiver raised; what it raised is reported elsewhere."""
    return TransportError("disconnected", "the answer could not be handled", sent=True)
