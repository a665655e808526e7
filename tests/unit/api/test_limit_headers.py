"""What callers are told of their limits with every answer."""

from typing import cast

from llm_service.admission import Held
from llm_service.api.rest.limit_headers import limit_headers, limit_lines, refusal_headers, refusal_lines
from llm_service.domain import BudgetExceeded, Claim, Lease, Limit, LimitKind, RateLimited
from llm_service.storage import LimitStore


def limit(kind: LimitKind, amount: int, scope: str = "key") -> Limit:
    return Limit(key=f"{kind}:{scope}", scope=scope, subject="", kind=kind, amount=amount)  # type: ignore[arg-type]


def held(*stands: tuple[Limit, int]) -> Held:
    claims = [Claim(one, 1) for one, _ in stands]
    used = [taken for _, taken in stands]
    lease = Lease("req_1", callers=claims, candidate=0, provider=(), second=0, used=used)
    return Held(lease, cast(LimitStore, None), "")


def test_without_limits_nothing_is_said() -> None:
    assert limit_headers(None) == []
    assert limit_headers(held((limit("money", 100), 5), (limit("concurrency", 3), 1))) == []


def test_the_tightest_limit_of_each_kind_is_told() -> None:
    told = dict(
        limit_headers(
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
    told = limit_headers(held((limit("requests", 60), 12), (limit("tokens", 1000), 400)))
    assert [value for name, value in told if name == b"ratelimit"] == [b'"requests";r=48;t=60', b'"tokens";r=600;t=60']
    policies = [value for name, value in told if name == b"ratelimit-policy"]
    assert policies == [b'"requests";q=60;w=60', b'"tokens";q=1000;w=60']


def test_what_a_request_used_stands_in_place_of_what_it_held() -> None:
    tokens, requests = limit("tokens", 1000), limit("requests", 60)
    lease = Lease(
        "r", callers=[Claim(tokens, 300), Claim(requests, 1)], candidate=0, provider=(), second=0, used=[700, 2]
    )
    told = dict(limit_headers(Held(lease, cast(LimitStore, None), ""), tokens=45))
    assert told[b"x-ratelimit-remaining-tokens"] == b"555"
    assert told[b"x-ratelimit-remaining-requests"] == b"58"


def test_a_limit_that_is_overdrawn_has_nothing_left() -> None:
    told = dict(limit_headers(held((limit("tokens", 1000), 1200))))
    assert told[b"x-ratelimit-remaining-tokens"] == b"0"


def test_a_refusal_tells_the_limit_that_refused_and_when_it_may_have_room() -> None:
    error = RateLimited("No.", limit=limit("tokens", 1000), used=700, reserved=200, retry_after_s=12.0)
    told = dict(refusal_headers(error))
    assert (told[b"x-ratelimit-remaining-tokens"], told[b"x-ratelimit-reset-tokens"]) == (b"100", b"12s")


def test_a_spent_budget_is_no_rate() -> None:
    assert refusal_headers(BudgetExceeded("No.", limit=limit("money", 10))) == []


def test_lines_say_the_same_as_pairs() -> None:
    stands = held((limit("requests", 60), 12), (limit("tokens", 1000), 400), (limit("tokens", 900, "user"), 2))
    for tokens in (None, 45):
        assert limit_lines(stands, tokens=tokens) == as_lines(limit_headers(stands, tokens=tokens))
    assert limit_lines(held((limit("money", 100), 5))) == b""


def test_lines_of_a_refusal_say_the_same_as_pairs() -> None:
    error = RateLimited("No.", limit=limit("tokens", 1000), used=700, reserved=200, retry_after_s=12.0)
    assert refusal_lines(error) == as_lines(refusal_headers(error)) != b""
    assert refusal_lines(BudgetExceeded("No.", limit=limit("money", 10))) == b""


def as_lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
