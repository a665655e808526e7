"""How a caller learns where its limits stand: OpenAI's headers, and the IETF's draft, on every answer."""

from typing import Final

from llm_service.admission import Held
from llm_service.domain import WINDOW_S, LimitKind, LimitReached

_COUNTED: Final[tuple[LimitKind, ...]] = ("requests", "tokens")
HeaderList = list[tuple[bytes, bytes]]


def limit_headers(held: Held | None) -> HeaderList:
    """``x-ratelimit-*`` and ``RateLimit`` of the tightest limit of requests and of tokens; nothing where none applies.

    A window slides, so that after a request it is whole again no sooner than a minute later
    (draft-ietf-httpapi-ratelimit-headers-10).
    """
    if held is None:
        return []
    headers: HeaderList = []
    for kind in _COUNTED:
        stands = [
            (claim.limit.amount - used, claim.limit.amount)
            for claim, used in zip(held.lease.callers, held.lease.used, strict=False)
            if claim.limit.kind == kind
        ]
        if stands:
            remaining, amount = min(stands)
            headers += _of_kind(kind.encode(), amount, max(remaining, 0), WINDOW_S)
    return headers


def refusal_headers(error: LimitReached) -> HeaderList:
    """The same for a refusal: the limit that refused, and when it may have room."""
    limit = error.limit
    if limit is None or limit.kind not in _COUNTED:
        return []
    remaining = max(limit.amount - error.used - error.reserved, 0)
    wait_s = WINDOW_S if error.retry_after_s is None else int(error.retry_after_s)
    return _of_kind(limit.kind.encode(), limit.amount, remaining, wait_s)


def _of_kind(kind: bytes, amount: int, remaining: int, reset_s: int) -> HeaderList:
    return [
        (b"x-ratelimit-limit-%b" % kind, b"%d" % amount),
        (b"x-ratelimit-remaining-%b" % kind, b"%d" % remaining),
        (b"x-ratelimit-reset-%b" % kind, b"%ds" % reset_s),
        (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (kind, amount, WINDOW_S)),
        (b"ratelimit", b'"%b";r=%d;t=%d' % (kind, remaining, reset_s)),
    ]
