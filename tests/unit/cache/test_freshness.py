"""Which kept answer may be given now."""

import pytest

from llm_service.cache import (
    CachePlan,
    Freshness,
    age_s,
    forward_reason,
    forward_status,
    hit_status,
    is_servable,
    may_serve_on_error,
    may_serve_while_revalidating,
    ttl_s,
)
from llm_service.domain import ANY_ANSWER, CacheControl, Head, KeptAnswer

STORED_AT = 1_000.0
DIGEST = b"d" * 32


def plan(
    control: CacheControl = ANY_ANSWER, *, digest: bytes = DIGEST, serve: bool = True, fresh_s: float = 60
) -> CachePlan:
    return CachePlan(
        digest=digest,
        groups=("all",),
        serve=serve,
        control=control,
        fresh_s=fresh_s,
        while_revalidating_s=10,
        on_error_s=30,
    )


def answer(*, fresh_s: float = 60, kept_s: float = 90) -> KeptAnswer:
    return KeptAnswer(
        digest=DIGEST,
        form="whole",
        pieces=(b"{}",),
        kinds="",
        head=Head(provider="plain", model="m", upstream_model="small"),
        usage=None,
        finish_reason="stop",
        upstream_id=None,
        response_model=None,
        nano_usd=0,
        cost_source="none",
        stored_at=STORED_AT,
        fresh_s=fresh_s,
        kept_s=kept_s,
    )


@pytest.mark.parametrize(
    ("age", "shown", "left"), [(0.9, 0, 59), (59.9, 59, 0), (60, 60, 0), (60.1, 60, -1), (-5, 0, 60)]
)
def test_age_and_time_left_are_whole_seconds(age: float, shown: int, left: int) -> None:
    assert age_s(answer(), STORED_AT + age) == shown
    assert ttl_s(answer(), plan(), STORED_AT + age) == left


@pytest.mark.parametrize(
    ("control", "age", "expected"),
    [
        (CacheControl(), 59.9, "fresh"),
        (CacheControl(), 60, None),
        (CacheControl(), -3, "fresh"),
        (CacheControl(max_age_s=20), 20, "fresh"),
        (CacheControl(max_age_s=20), 20.1, None),
        (CacheControl(max_age_s=0), 0.1, None),
        (CacheControl(max_age_s=500), 61, None),
        (CacheControl(min_fresh_s=10), 50, "fresh"),
        (CacheControl(min_fresh_s=10), 50.1, None),
        (CacheControl(max_stale_s=float("inf")), 89, "stale"),
        (CacheControl(max_stale_s=float("inf")), 59, "fresh"),
        (CacheControl(max_stale_s=float("inf")), 90, None),
        (CacheControl(max_stale_s=5), 65, "stale"),
        (CacheControl(max_stale_s=5), 65.1, None),
        (CacheControl(max_stale_s=5, max_age_s=62), 62, "stale"),
        (CacheControl(max_stale_s=5, max_age_s=62), 63, None),
        (CacheControl(max_stale_s=5, min_fresh_s=0), 61, None),
        (CacheControl(only_if_cached=True), 59, "fresh"),
        (CacheControl(only_if_cached=True), 61, None),
    ],
)
def test_the_client_says_how_old_an_answer_may_be(
    control: CacheControl, age: float, expected: Freshness | None
) -> None:
    assert is_servable(answer(), plan(control), STORED_AT + age) == expected


@pytest.mark.parametrize("wrong", [plan(digest=b"e" * 32), plan(serve=False)])
def test_nothing_is_given_to_another_request_or_to_one_that_takes_none(wrong: CachePlan) -> None:
    assert is_servable(answer(), wrong, STORED_AT) is None
    assert not may_serve_while_revalidating(answer(), wrong, STORED_AT + 61)
    assert not may_serve_on_error(answer(), wrong, STORED_AT + 61)


@pytest.mark.parametrize(
    ("age", "while_revalidating", "on_error"),
    [(59, False, False), (60, True, True), (69, True, True), (70, False, True), (89, False, True), (90, False, False)],
)
def test_a_stale_answer_may_be_given_as_long_as_it_is_set(age: float, while_revalidating: bool, on_error: bool) -> None:
    now = STORED_AT + age
    assert is_servable(answer(), plan(), now) == ("fresh" if age < 60 else None)
    assert may_serve_while_revalidating(answer(), plan(), now) is while_revalidating
    assert may_serve_on_error(answer(), plan(), now) is on_error


@pytest.mark.parametrize(
    ("control", "allowed"),
    [
        (CacheControl(max_age_s=500), False),
        (CacheControl(min_fresh_s=0), False),
        (CacheControl(max_stale_s=4), False),
        (CacheControl(max_stale_s=5), True),
        (CacheControl(only_if_cached=True), True),
    ],
)
def test_settings_do_not_overrule_what_a_client_asks_for(control: CacheControl, allowed: bool) -> None:
    assert may_serve_while_revalidating(answer(), plan(control), STORED_AT + 65) is allowed
    assert may_serve_on_error(answer(), plan(control), STORED_AT + 65) is allowed


def test_a_time_that_was_shortened_holds_for_what_was_kept_before() -> None:
    assert is_servable(answer(fresh_s=60), plan(fresh_s=10), STORED_AT + 11) is None
    assert is_servable(answer(fresh_s=10), plan(fresh_s=60), STORED_AT + 11) is None


def test_the_reason_to_ask_the_provider_is_the_most_specific_one() -> None:
    no_cache = plan(CacheControl(no_cache=True), serve=False)
    assert forward_reason(None, None, STORED_AT) == "bypass"
    assert forward_reason(plan(), None, STORED_AT) == "uri-miss"
    assert forward_reason(plan(digest=b"e" * 32), answer(), STORED_AT) == "uri-miss"
    assert forward_reason(plan(CacheControl(max_age_s=1)), answer(), STORED_AT + 2) == "request"
    assert forward_reason(no_cache, answer(), STORED_AT) == "request"
    assert forward_reason(no_cache, None, STORED_AT) == "uri-miss"
    assert forward_reason(plan(), answer(), STORED_AT + 61) == "stale"


def test_the_header_is_in_the_words_of_the_standard() -> None:
    assert hit_status(42) == "llm-service; hit; ttl=42"
    assert hit_status(-7) == "llm-service; hit; ttl=-7"
    assert forward_status("bypass") == "llm-service; fwd=bypass"
    assert forward_status("uri-miss", stored=True) == "llm-service; fwd=uri-miss; stored"
    assert forward_status("uri-miss", collapsed=True) == "llm-service; fwd=uri-miss; collapsed"
    assert forward_status("request", stored=True) == "llm-service; fwd=request; stored"
