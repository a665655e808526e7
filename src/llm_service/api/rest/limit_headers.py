"""How a caller learns where its limits stand: OpenAI's headers, and the IETF's draft, on every answer."""

from functools import lru_cache
from typing import Final

from llm_service.admission import Held
from llm_service.api.client import header_block
from llm_service.domain import WINDOW_S, Claims, LimitKind, LimitReached

_COUNTED: Final[tuple[LimitKind, ...]] = ("requests", "tokens")


def limit_lines(held: Held, *, tokens: int | None = None) -> bytes:
    """``x-ratelimit-*`` and ``RateLimit`` of the tightest limit of requests and of tokens; nothing where none applies.

    A header block. ``tokens``: what the request used, where it is over; they stand in place of what it held.
    A window slides, so that after a request it is whole again no sooner than a minute later
    (draft-ietf-httpapi-ratelimit-headers-10).
    """
    return b"".join(
        [
            _form(kind, amount) % (remaining, WINDOW_S, remaining, WINDOW_S)
            for kind, amount, remaining in _tightest(held, tokens)
        ]
    )


def refusal_lines(error: LimitReached) -> bytes:
    """The same for a refusal: the limit that refused, and when it may have room."""
    limit = error.limit
    if limit is None or limit.kind not in _COUNTED:
        return b""
    return _form(limit.kind, limit.amount) % (_after_refusal(error, limit.amount) * 2)


def _after_refusal(error: LimitReached, amount: int) -> tuple[int, int]:
    """What is left of the limit that refused, and in how many seconds it may have room."""
    wait_s = WINDOW_S if error.retry_after_s is None else int(error.retry_after_s)
    return max(amount - error.used - error.reserved, 0), wait_s


def _tightest(held: Held, tokens: int | None) -> list[tuple[LimitKind, int, int]]:
    """The amount and what is left of the limit of each kind that has least; of two alike, of the smaller one."""
    claims, used = Claims.among(held.lease.callers), held.lease.used
    told = []
    for kind, limits in claims.of.rates if used else ():
        least = tightest = -1
        for place, amount in limits:
            remaining = amount - used[place]
            if tokens is not None and kind == "tokens":
                remaining += claims.costs[place] - tokens
            if tightest < 0 or remaining < least or (remaining == least and amount < tightest):
                least, tightest = remaining, amount
        told.append((kind, tightest, max(least, 0)))
    return told


@lru_cache(maxsize=1024)
def _form(kind: LimitKind, amount: int) -> bytes:
    """What is the same for every answer under a limit, so that it is made once.

    With room for what is left and for the seconds until the reset, twice.
    """
    name = kind.encode()
    return header_block(
        (
            (b"x-ratelimit-limit-%b" % name, b"%d" % amount),
            (b"x-ratelimit-remaining-%b" % name, b"%d"),
            (b"x-ratelimit-reset-%b" % name, b"%ds"),
            (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (name, amount, WINDOW_S)),
            (b"ratelimit", b'"%b";r=%%d;t=%%d' % name),
        )
    )
