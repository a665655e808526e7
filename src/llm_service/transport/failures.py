"""What both clients say of a failed exchange. The messages name no address, no header and no secret."""

import errno
import os
import socket
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm_service.transport.base import Reason, TransportError

# X509_V_ERR_* of OpenSSL's x509_vfy.h: ours, since its own texts name the host.
_CERTIFICATES: Final[Mapping[int, tuple[Reason, str]]] = MappingProxyType(
    {
        9: ("not_yet_valid", "the certificate is not valid yet"),
        10: ("expired", "the certificate has expired"),
        18: ("self_signed", "the certificate is self-signed"),
        19: ("self_signed", "a self-signed certificate stands in its chain"),
        20: ("unknown_authority", "the certificate's authority is not known here"),
        21: ("unknown_authority", "the certificate's authority is not known here"),
        62: ("other_name", "the certificate is for another name"),
        64: ("other_name", "the certificate is for another address"),
    }
)
_NO_TLS: Final = frozenset(("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"))
_UNREACHABLE: Final = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN))


def connect_late() -> TransportError:
    """No connection in time."""
    return TransportError("connect_timeout", "no connection within connect_s", sent=False)


def tls_refused(error: BaseException | None) -> TransportError:
    """The upstream is not who it should be, or speaks no TLS."""
    reason, said = _tls_reason(error)
    return TransportError("tls", f"TLS failed: {said}", sent=False, reason=reason)


def _tls_reason(error: BaseException | None) -> tuple[Reason, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(getattr(error, "verify_code", 0), ("certificate", "the certificate is not accepted"))
    if isinstance(error, ssl.SSLError) and getattr(error, "reason", None) in _NO_TLS:
        return "no_tls", "what answers speaks no TLS"
    return "handshake", "the handshake was refused"


def cannot_connect(error: BaseException) -> TransportError:
    """No connection. The system's own words for the error: those of the event loop name the address."""
    said: str = "refused"
    reason: Reason | None = None
    if isinstance(error, socket.gaierror):
        said, reason = error.strerror or "the name is not known", "unknown_name"
    elif isinstance(error, OSError) and error.errno:
        said, reason = os.strerror(error.errno), _errno_reason(error.errno)
    return TransportError("connect", f"cannot connect: {said}", sent=False, reason=reason)


def _errno_reason(number: int) -> Reason | None:
    if number == errno.ECONNREFUSED:
        return "refused"
    return "unreachable" if number in _UNREACHABLE else None


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
