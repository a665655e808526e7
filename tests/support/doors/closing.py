"""What the closing of a socket says, where it is the only answer that a protocol knows."""

from websockets.exceptions import ConnectionClosed

from tests.support.doors.told import Failure

CODES = {1009: "request_too_large", 1013: "ledger_unavailable", 4401: "invalid_api_key"}


def closed_by(closed: ConnectionClosed) -> Failure:
    """The error of REST that the code stands for. Raises AssertionError for a close that says nothing."""
    code = closed.rcvd.code if closed.rcvd is not None else 1006
    assert code in CODES, f"the socket was closed with {code}"
    return Failure(code=CODES[code], message=closed.rcvd.reason if closed.rcvd is not None else "")
