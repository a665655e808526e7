"""The codes with which a WebSocket of the service closes (RFC 6455, 7.4; from 4000 on our own): docs/websocket.md."""

from typing import Final, NamedTuple

ABNORMAL: Final = 1006
NO_TEXT: Final = 1007
INCOMPLETE: Final = 1008
TOO_BIG: Final = 1009
FAILED: Final = 1011
RESTARTING: Final = 1012
TRY_LATER: Final = 1013
NOT_AUTHENTICATED: Final = 4401
ORIGIN_REFUSED: Final = 4403
AUTH_TOO_LATE: Final = 4408
NOT_UNDERSTOOD: Final = 4409
ABUSE: Final = 4429


class End(NamedTuple):
    """Why a socket ends, as it is told to both sides."""

    code: int
    reason: str
