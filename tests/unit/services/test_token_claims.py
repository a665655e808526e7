"""What the claims of a verified token come to: whether it holds, and who its caller is."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Caller, InvalidApiKey, allows
from llm_service.services import IssuerOptions, is_of_issuer
from llm_service.services.issuers.claims import caller_of, holds
from llm_service.services.issuers.options import Condition, Grant
from llm_service.services.issuers.presented import WrongToken
from tests.support.issuers import AUDIENCE, NAME, SigningIssuer
from tests.unit.services.test_presented_tokens import ANY_JSON

ISSUER = SigningIssuer()
NOW = ISSUER.now
SAFE = re.compile(r"jwt:sso:[A-Za-z0-9._@:|/~-]{1,128}")


def caller(claims: dict[str, Any], **options: Any) -> Caller:
    return caller_of(claims, ISSUER.options(**options), now=NOW)[0]


def options(**changed: Any) -> IssuerOptions:
    return ISSUER.options(**changed)


def test_a_good_token_gives_a_caller_who_lasts_as_long() -> None:
    found, ends_at = caller_of(ISSUER.claims(), options(leeway_s=5), now=NOW)
    assert (found.key_id, found.scopes, ends_at) == ("jwt:sso:alice", {"inference"}, NOW + 605)
    assert found.key is not None
    assert (found.key.id, found.key.name, found.key.user, found.key.models) == (
        found.key_id,
        "jwt:sso",
        "sso:alice",
        None,
    )
    assert found.key.expires_at == datetime.fromtimestamp(NOW + 605, UTC)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"aud": "other"},
        {"aud": AUDIENCE + "x"},
        {"aud": AUDIENCE.upper()},
        {"aud": []},
        {"aud": [["llm-service"]]},
        {"aud": {"llm-service": 1}},
        {"aud": ""},
        {"exp": None},
        {"exp": "1795000600"},
        {"exp": True},
        {"exp": 1e300},
        {"exp": 10**400},
        {"exp": -1},
        {"exp": [NOW + 600]},
        {"nbf": "soon"},
        {"iat": {}},
        {"sub": None},
        {"sub": ""},
        {"sub": "  "},
        {"sub": ["alice"]},
        {"sub": True},
        {"sub": "new\nline"},
        {"sub": "x" * 300},
        {"cnf": {"jkt": "x"}},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    ],
    ids=str,
)
def test_claims_that_are_not_as_they_must_be_count_as_wrong(claims: dict[str, Any]) -> None:
    with pytest.raises(WrongToken):
        caller(ISSUER.claims(**claims))


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE], [1, AUDIENCE]], ids=str)
def test_it_is_meant_for_us_where_one_of_its_audiences_is_ours(aud: Any) -> None:
    assert caller(ISSUER.claims(aud=aud)).key_id == "jwt:sso:alice"


@pytest.mark.parametrize(
    ("claims", "holds_now"),
    [
        ({"exp": NOW + 0.5}, True),
        ({"exp": NOW - 9}, True),
        ({"exp": NOW - 10}, False),
        ({"exp": NOW - 3600}, False),
        ({"nbf": NOW + 10}, True),
        ({"nbf": NOW + 11}, False),
        ({"iat": NOW + 10}, True),
        ({"iat": NOW + 11}, False),
        ({"nbf": NOW - 3600, "iat": NOW - 3600}, True),
        ({"iat": None}, True),
    ],
    ids=str,
)
def test_it_holds_in_its_time_give_or_take_the_leeway_and_outside_of_it_is_nobody_s_guess(
    claims: dict[str, Any], holds_now: bool
) -> None:
    if holds_now:
        assert caller(ISSUER.claims(**claims), leeway_s=10)
    else:
        with pytest.raises(InvalidApiKey) as refused:
            caller(ISSUER.claims(**claims), leeway_s=10)
        assert not isinstance(refused.value, WrongToken)


@pytest.mark.parametrize(
    ("subject", "key_id"),
    [
        ("repo:acme/app:ref:refs/heads/main", "jwt:sso:repo:acme/app:ref:refs/heads/main"),
        ("system:serviceaccount:ml:batch", "jwt:sso:system:serviceaccount:ml:batch"),
        ("auth0|5f7c8ec7", "jwt:sso:auth0|5f7c8ec7"),
        (12345, "jwt:sso:12345"),
    ],
)
def test_usual_subjects_stand_in_the_id_as_they_are(subject: Any, key_id: str) -> None:
    assert caller(ISSUER.claims(sub=subject)).key_id == key_id


SUBJECTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200).filter(str.strip)


@given(SUBJECTS, SUBJECTS)
def test_subjects_make_ids_of_safe_characters_and_two_of_them_never_the_same(one: str, other: str) -> None:
    ids = [caller(ISSUER.claims(sub=subject, name="x"), user_claim="name").key_id for subject in (one, other)]
    assert all(SAFE.fullmatch(key_id) and is_of_issuer(key_id) for key_id in ids)
    assert (ids[0] == ids[1]) == (one == other)


def test_a_subject_cannot_take_the_place_of_another_s_digest() -> None:
    hashed = caller(ISSUER.claims(sub="a b")).key_id.removeprefix("jwt:sso:")
    assert caller(ISSUER.claims(sub=hashed)).key_id != f"jwt:sso:{hashed}"


@given(st.dictionaries(st.sampled_from(["aud", "exp", "sub", "nbf", "cnf", "groups", "a"]), ANY_JSON))
def test_whatever_the_claims_hold_there_is_a_caller_or_a_refusal(claims: dict[str, Any]) -> None:
    grants = (Grant(claim="groups.a", has=("x",), scopes=("admin",)),)
    try:
        found = caller({**ISSUER.claims(), **claims}, grants=grants)
    except InvalidApiKey:
        return
    assert found.key_id.startswith("jwt:sso:")


# -- users


def test_the_user_is_of_the_claim_that_is_named_and_never_the_same_for_two_issuers() -> None:
    claims = ISSUER.claims(email="alice@example.com", email_verified=True)
    users = [caller(claims, name=name, user_claim="email").key.user for name in (NAME, "other")]  # type: ignore[union-attr]
    assert users == ["sso:alice@example.com", "other:alice@example.com"]


def test_users_are_shared_with_keys_where_the_operator_says_so() -> None:
    found = caller(ISSUER.claims(), user_prefix="")
    assert found.key is not None
    assert found.key.user == "alice"


@pytest.mark.parametrize("verified", [False, "true", 1, None])
def test_an_address_that_nobody_has_verified_names_no_user(verified: object) -> None:
    claims = {**ISSUER.claims(email="root@example.com"), "email_verified": verified}
    with pytest.raises(WrongToken, match="not verified"):
        caller(claims, user_claim="email")


@pytest.mark.parametrize("verified", [False, "false", None])
def test_an_address_that_nobody_has_verified_opens_nothing_and_is_nobody_s(verified: object) -> None:
    claims = {**ISSUER.claims(email="root@example.com"), "email_verified": verified}
    is_root = Grant(claim="email", has=("root@example.com", "*"), scopes=("admin",))
    assert caller(claims, grants=(is_root,)).scopes == {"inference"}
    assert caller({**claims, "email_verified": True}, grants=(is_root,)).scopes == {"inference", "admin"}
    with pytest.raises(WrongToken, match="does not hold"):
        caller(claims, require=(Condition(claim="email", has=("*",)),))
    with pytest.raises(WrongToken, match="not verified"):
        caller(claims, subject_claim="email")


def test_another_claim_may_tell_callers_apart() -> None:
    assert caller(ISSUER.claims(oid="7f"), subject_claim="oid").key_id == "jwt:sso:7f"
    with pytest.raises(WrongToken, match="'oid'"):
        caller(ISSUER.claims(), subject_claim="oid")


# -- what it opens

CLAIMS: dict[str, Any] = {
    "repository": "acme/app",
    "groups": ["Staff", "ML Team", 7],
    "scope": "openid llm.use",
    "admin": True,
    "realm_access": {"roles": ["operator"]},
    "https://acme.example/roles": ["writer"],
    "kubernetes.io": {"namespace": "ml", "pod": {"name": "x"}},
    "nested": {"a": {"b.c": {"d": "deep"}}},
}


@pytest.mark.parametrize(
    ("claim", "has", "expected"),
    [
        ("repository", "acme/app", True),
        ("repository", "acme/*", True),
        ("repository", "acme", False),
        ("repository", "ACME/app", False),
        ("repository", "*/app", False),
        ("groups", "ML Team", True),
        ("groups", "ML", False),
        ("groups", "7", True),
        ("scope", "llm.use", True),
        ("scope", "openid llm.use", False),
        ("admin", "true", True),
        ("admin", "1", False),
        ("realm_access.roles", "operator", True),
        ("realm_access", "operator", False),
        ("https://acme.example/roles", "writer", True),
        ("kubernetes.io.namespace", "ml", True),
        ("kubernetes.io.pod.name", "x", True),
        ("nested.a.b.c.d", "deep", True),
        ("missing", "*", False),
        ("repository.x", "*", False),
        ("repository", "*", True),
    ],
)
def test_a_condition_looks_into_a_claim(claim: str, has: str, expected: bool) -> None:
    assert holds(Condition(claim=claim, has=(has,)), CLAIMS) is expected


def test_all_that_is_required_must_hold() -> None:
    require = (Condition(claim="repository", has=("acme/*",)), Condition(claim="ref", has=("main", "release")))
    assert caller(ISSUER.claims(repository="acme/app", ref="release"), require=require)
    for claims in ({"repository": "acme/app"}, {"repository": "acmevil/app", "ref": "main"}, {"ref": "main"}):
        with pytest.raises(WrongToken, match="does not hold"):
            caller(ISSUER.claims(**claims), require=require)


GRANTS = (
    Grant(claim="groups", has=("operators",), scopes=("read", "admin")),
    Grant(claim="groups", has=("ml", "data"), models=("deepseek/*",)),
)


@pytest.mark.parametrize(
    ("groups", "scopes", "models"),
    [
        ([], {"inference"}, ("fast",)),
        (["operators"], {"inference", "read", "admin"}, ("fast",)),
        (["ml", "operators"], {"inference", "read", "admin"}, ("fast", "deepseek/*")),
    ],
)
def test_grants_add_up(groups: list[str], scopes: set[str], models: tuple[str, ...]) -> None:
    found = caller(ISSUER.claims(groups=groups), grants=GRANTS, models=("fast",))
    assert found.key is not None
    assert (found.scopes, found.key.models) == (scopes, models)


def test_once_any_grant_names_models_who_has_none_of_them_may_ask_for_none() -> None:
    assert not allows(caller(ISSUER.claims(), grants=GRANTS).key, "deepseek/chat")
    assert allows(caller(ISSUER.claims(groups=["ml"]), grants=GRANTS).key, "deepseek/chat")
