"""What callers are told of their limits with every answer."""

from typing import cast

from llm_service.admission import Held
from llm_service.api.client import headers_in
from llm_service.api.rest.limit_headers import limit_lines, refusal_lines
from llm_service.domain import BudgetExceeded, Claim, Lease, Limit, LimitKind, RateLimited
from llm_service.storage import LimitStore


def limit(kind: LimitKind, amount: int, scope: str = "key") -> Limit:
    return Limit(key=f"{kind}:{scope}", scope=scope, subject="", kind=kind, amount=amount)  # type: ignore[arg-type]


def held(*stands: tuple[Limit, int]) -> Held:
    claims = [Claim(one, 1) for one, _ in stands]
    used = [taken for _, taken in stands]
    lease = Lease("req_1", callers=claims, candidate=0, provider=(), second=0, used=used)
    return Held(lease, cast(LimitStore, None), "")


def limits_told(stands: Held, tokens: int | None = None) -> list[tuple[bytes, bytes]]:
    return headers_in(limit_lines(stands, tokens=tokens))


def test_without_limits_nothing_is_said() -> None:
    assert limit_lines(held((limit("money", 100), 5), (limit("concurrency", 3), 1))) == b""


def test_the_tightest_limit_of_each_kind_is_told() -> None:
    told = dict(
        limits_told(
            held(
                (limit("requests", 100, "global"), 20),
                (limit("requests", 60), 12),
                (limit("requests", 500, "user"), 1),
                (limit("tokens", 1000), 400),
            )
        )
    )
    assert (told[b"x-ratelimit-limit-requests"], told[b"x-ratelimit-remaining-requests"]) == (b"60", b"48")
    assert (told[b"x-ratelimit-limit-tokens"], told[b"x-ratelimit-remaining-tokens"]) == (b"1000", b"600")
    assert told[b"x-ratelimit-reset-requests"] == b"60s"


def test_the_draft_s_headers_say_the_same() -> None:
    told = limits_told(held((limit("requests", 60), 12), (limit("tokens", 1000), 400)))
    assert [value for name, value in told if name == b"ratelimit"] == [b'"requests";r=48;t=60', b'"tokens";r=600;t=60']
    policies = [value for name, value in told if name == b"ratelimit-policy"]
    assert policies == [b'"requests";q=60;w=60', b'"tokens";q=1000;w=60']


def test_what_a_request_used_stands_in_place_of_what_it_held() -> None:
    tokens, requests = limit("tokens", 1000), limit("requests", 60)
    lease = Lease(
        "r", callers=[Claim(tokens, 300), Claim(requests, 1)], candidate=0, provider=(), second=0, used=[700, 2]
    )
    told = dict(limits_told(Held(lease, cast(LimitStore, None), ""), tokens=45))
    assert told[b"x-ratelimit-remaining-tokens"] == b"555"
    assert told[b"x-ratelimit-remaining-requests"] == b"58"


def test_a_limit_that_is_overdrawn_has_nothing_left() -> None:
    told = dict(limits_told(held((limit("tokens", 1000), 1200))))
    assert told[b"x-ratelimit-remaining-tokens"] == b"0"


def test_a_refusal_tells_the_limit_that_refused_and_when_it_may_have_room() -> None:
    error = RateLimited("No.", limit=limit("tokens", 1000), used=700, reserved=200, retry_after_s=12.0)
    told = dict(headers_in(refusal_lines(error)))
    assert (told[b"x-ratelimit-remaining-tokens"], told[b"x-ratelimit-reset-tokens"]) == (b"100", b"12s")


def test_a_spent_budget_is_no_rate() -> None:
    assert refusal_lines(BudgetExceeded("No.", limit=limit("money", 10))) == b""
