"""What the cache may do for a request."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from llm_service.cache import CacheOptions, CachePlan, CachePolicy
from llm_service.domain import (
    Body,
    CacheControl,
    Caller,
    Candidate,
    chat_request,
    completion_request,
    embedding_request,
)
from tests.support.records import key

CHAT: Body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}
HERE = Candidate(provider="plain", upstream_model="small")


def caller(key_id: str = "key_a", *, own_user: str | None = None) -> Caller:
    issued = None if own_user is None else key(key_id, user=own_user)
    return Caller(key_id=key_id, scopes=frozenset({"inference"}), key=issued)


def policy_of(
    options: CacheOptions | None = None,
    *,
    ttls_s: Mapping[str, float] | None = None,
    base_url: str = "http://127.0.0.1:1/v1",
) -> CachePolicy:
    return CachePolicy(
        options or CacheOptions(),
        ttls_s=ttls_s or {},
        address=lambda candidate: (candidate.provider, base_url, candidate.upstream_model),
    )


def planned(policy: CachePolicy, *, body: Body = CHAT, **given: Any) -> CachePlan | None:
    asked = {"request": chat_request(body), "candidates": (HERE,), "caller": caller(), "user": None, **given}
    return policy.plan(asked.pop("request"), **asked)


def plan(options: CacheOptions | None = None, **given: Any) -> CachePlan | None:
    of_policy = {name: given.pop(name) for name in ("ttls_s", "base_url") if name in given}
    return planned(policy_of(options, **of_policy), **given)


def digest(options: CacheOptions | None = None, **given: Any) -> bytes:
    made = plan(options, **given)
    assert made is not None
    return made.digest


def test_a_plan_says_who_shares_the_answer_and_how_long() -> None:
    options = CacheOptions(ttl_s=60, stale_while_revalidate_s=5, stale_if_error_s=30)
    made = plan(options, tags={"team": "red", "app": "x"})
    assert made is not None
    assert made.groups == ("all", "model:fast", "tenant:key:key_a", "tag:team=red", "tag:app=x")
    assert (made.serve, made.fresh_s, made.kept_s) == (True, 60, 90)
    assert (made.while_revalidating_s, made.on_error_s) == (5, 30)


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (CacheOptions(enabled=False), {}),
        (CacheOptions(ttl_s=0), {}),
        (CacheOptions(), {"ttls_s": {"fast": 0}}),
        (CacheOptions(), {"control": CacheControl(no_store=True)}),
        (CacheOptions(), {"body": {**CHAT, "n": 2}}),
        (CacheOptions(), {"body": {**CHAT, "temperature": 2.1}}),
        (CacheOptions(max_temperature=0.5), {"body": {**CHAT, "temperature": 1}}),
        (CacheOptions(max_temperature=0.5), {}),
        (CacheOptions(max_temperature=0.5), {"body": {**CHAT, "temperature": None}}),
        (CacheOptions(), {"body": {**CHAT, "x": {"\u00fc": 1, "u\u0308": 2}}}),
        (CacheOptions(), {"request": completion_request({"model": "m", "prompt": "a", "best_of": 3})}),
        (CacheOptions(), {"body": {**CHAT, "models": ["careful"]}, "ttls_s": {"careful": 0}}),
    ],
)
def test_such_requests_pass_the_cache_by(options: CacheOptions, given: dict[str, Any]) -> None:
    assert plan(options, **given) is None


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (CacheOptions(ttl_s=0), {"ttls_s": {"fast": 5}}),
        (CacheOptions(), {"body": {**CHAT, "n": 1, "temperature": 2}}),
        (CacheOptions(), {"body": {**CHAT, "n": None}}),
        (CacheOptions(max_temperature=0), {"body": {**CHAT, "temperature": 0}}),
        (CacheOptions(max_temperature=1), {}),
        (CacheOptions(max_temperature=0), {"request": embedding_request({"model": "e", "input": "a"})}),
        (CacheOptions(), {"request": completion_request({"model": "m", "prompt": ["a", "b"], "best_of": 1})}),
        (CacheOptions(), {"control": CacheControl(only_if_cached=True)}),
    ],
)
def test_such_requests_do_not(options: CacheOptions, given: dict[str, Any]) -> None:
    assert plan(options, **given) is not None


def test_a_model_has_its_own_time_and_the_shortest_of_a_chain_holds() -> None:
    ttls_s = {"fast": 10.0, "careful": 5.0}
    alone, chain = plan(ttls_s=ttls_s), plan(ttls_s=ttls_s, body={**CHAT, "models": ["other", "careful"]})
    assert alone is not None
    assert chain is not None
    assert (alone.fresh_s, chain.fresh_s) == (10, 5)


def test_no_cache_keeps_the_new_answer_and_takes_no_old_one() -> None:
    made = plan(control=CacheControl(no_cache=True))
    assert made is not None
    assert made.serve is False
    assert made.digest == digest()


@pytest.mark.parametrize(
    "given",
    [
        {"body": {**CHAT, "seed": 1}},
        {"candidates": (replace(HERE, provider="other"),)},
        {"candidates": (HERE, HERE)},
        {"base_url": "http://127.0.0.1:2/v1"},
        {"policy_version": "2"},
        {"caller": caller("key_b")},
        {"request": completion_request({**CHAT, "prompt": "a"})},
    ],
)
def test_another_request_has_another_digest(given: dict[str, Any]) -> None:
    assert digest(**given) != digest()


VARIED: list[dict[str, Any]] = [
    {},
    {"user": "ann"},
    {"user": "ann", "caller": caller(own_user="ann")},
    {"user": "ann", "caller": caller("key_b", own_user="ann")},
    {"candidates": (HERE, HERE)},
    {"policy_version": "2"},
    {"tags": {"team": "red"}},
    {"body": {**CHAT, "model": "careful"}},
    {"body": {**CHAT, "models": ["careful"]}},
    {"request": completion_request({"model": "fast", "prompt": "a"})},
]


def test_a_policy_takes_nothing_from_one_request_that_is_not_the_next_one_s() -> None:
    options = CacheOptions(scope="user")
    policy, ttls_s = policy_of(options, ttls_s={"careful": 5.0}), {"careful": 5.0}
    for given in (*VARIED, *reversed(VARIED), *VARIED):
        assert planned(policy, **given) == plan(options, ttls_s=ttls_s, **given)


def test_what_is_remembered_of_callers_and_models_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_service.cache.policy._MOST_COMMON", 3)
    policy = policy_of()
    for number in range(10):
        assert planned(policy, body={**CHAT, "model": f"m{number}"}) is not None
        assert len(policy._common) <= 3


def test_tags_and_what_the_client_takes_are_not_in_the_digest() -> None:
    assert digest(tags={"team": "red"}, control=CacheControl(max_age_s=5)) == digest()


def test_users_share_across_keys_where_that_is_set_and_nobody_else_does() -> None:
    options = CacheOptions(scope="user")
    ann = digest(options, user="ann", caller=caller(own_user="ann"))
    assert ann == digest(options, user="ann", caller=caller("key_b", own_user="ann"))
    others = [
        digest(options, user="ann"),
        digest(options, user="ann", caller=caller("key_b")),
        digest(options, user="bob"),
        digest(options),
        digest(options, caller=caller("key_b")),
        digest(options, caller=caller("ann")),
        digest(options, user="key:key_a"),
        digest(options, user="global"),
        digest(options, user=""),
    ]
    assert len({ann, *others}) == 10


@pytest.mark.parametrize(
    ("scope", "user", "own_user", "tenants"),
    [
        ("key", "ann", "ann", ("tenant:key:key_a",)),
        ("user", "ann", "ann", ("tenant:user:ann",)),
        ("user", "ann", None, ("tenant:key:key_a", "tenant:user:ann")),
        ("user", None, None, ("tenant:key:key_a",)),
        ("global", "ann", "ann", ("tenant:global",)),
    ],
)
def test_an_answer_is_purged_with_those_to_whom_it_belongs(
    scope: Any, user: str | None, own_user: str | None, tenants: tuple[str, ...]
) -> None:
    made = plan(CacheOptions(scope=scope), user=user, caller=caller(own_user=own_user))
    assert made is not None
    assert made.groups == ("all", "model:fast", *tenants)


def test_the_user_makes_no_difference_elsewhere() -> None:
    assert digest(user="ann") == digest()
    everybody = CacheOptions(scope="global")
    assert digest(everybody, user="ann") == digest(everybody, caller=caller("key_b"))
    assert digest(everybody) not in (digest(), digest(CacheOptions(scope="user"), user="ann"))
