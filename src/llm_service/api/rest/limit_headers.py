"""How a caller learns where its limits stand: OpenAI's headers, and the IETF's draft, on every answer."""

from functools import lru_cache
from typing import Final

from llm_service.admission import Held
from llm_service.domain import WINDOW_S, LimitKind, LimitReached

_COUNTED: Final[tuple[LimitKind, ...]] = ("requests", "tokens")
HeaderList = list[tuple[bytes, bytes]]


def limit_headers(held: Held | None, *, tokens: int | None = None) -> HeaderList:
    """``x-ratelimit-*`` and ``RateLimit`` of the tightest limit of requests and of tokens; nothing where none applies.

    ``tokens``: what the request used, where it is over; they stand in place of what it held.
    A window slides, so that after a request it is whole again no sooner than a minute later
    (draft-ietf-httpapi-ratelimit-headers-10).
    """
    if held is None:
        return []
    left: dict[LimitKind, int] = {}
    amounts: dict[LimitKind, int] = {}
    lease = held.lease
    for (limit, cost), used in zip(lease.callers, lease.used, strict=False):
        kind, amount = limit.kind, limit.amount
        if kind in _COUNTED:
            if tokens is not None and kind == "tokens":
                used += tokens - cost  # noqa: PLW2901
            remaining, known = amount - used, left.get(kind)
            if known is None or remaining < known or (remaining == known and amount < amounts[kind]):
                left[kind], amounts[kind] = remaining, amount
    headers: HeaderList = []
    for kind, remaining in left.items():
        headers += _of_kind(kind, amounts[kind], max(remaining, 0), WINDOW_S)
    return headers


def refusal_headers(error: LimitReached) -> HeaderList:
    """The same for a refusal: the limit that refused, and when it may have room."""
    limit = error.limit
    if limit is None or limit.kind not in _COUNTED:
        return []
    remaining = max(limit.amount - error.used - error.reserved, 0)
    wait_s = WINDOW_S if error.retry_after_s is None else int(error.retry_after_s)
    return _of_kind(limit.kind, limit.amount, remaining, wait_s)


def _of_kind(kind: LimitKind, amount: int, remaining: int, reset_s: int) -> HeaderList:
    stated, policy, names = _stated(kind, amount)
    return [
        stated,
        (names[0], b"%d" % remaining),
        (names[1], b"%ds" % reset_s),
        policy,
        (b"ratelimit", b'"%b";r=%d;t=%d' % (names[2], remaining, reset_s)),
    ]


@lru_cache(maxsize=1024)
def _stated(kind: LimitKind, amount: int) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes], tuple[bytes, ...]]:
    """What is the same for every answer under a limit: it is made once."""
    name = kind.encode()
    return (
        (b"x-ratelimit-limit-%b" % name, b"%d" % amount),
        (b"ratelimit-policy", b'"%b";q=%d;w=%d' % (name, amount, WINDOW_S)),
        (b"x-ratelimit-remaining-%b" % name, b"x-ratelimit-reset-%b" % name, name),
    )
