"""Tokens as text: what can be read of them, and what is refused before anything of it is believed."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.services.issuers.presented import MOST_CHARS, WrongToken, is_token, read_token
from tests.support.issuers import part

HEADER: dict[str, Any] = {"alg": "ES256", "kid": "k1"}
CLAIMS = {"sub": "alice"}


def token(header: Any = HEADER, claims: Any = CLAIMS, signature: str = "c2ln") -> str:
    return f"{part(header)}.{part(claims)}.{signature}"


def test_a_token_is_read_in_its_parts() -> None:
    read = read_token(token())
    assert (read.algorithm, read.kid, read.claims) == ("ES256", "k1", CLAIMS)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+JWT"])
def test_types_of_access_and_identity_are_read(typ: str) -> None:
    assert read_token(token({**HEADER, "typ": typ})).claims == CLAIMS


def test_places_and_keys_that_a_header_names_are_not_looked_at() -> None:
    named = {"jku": "https://evil.example/keys", "x5u": "file:///etc/passwd", "jwk": {"kty": "oct"}, "x5c": ["x"]}
    read = read_token(token({**HEADER, **named}))
    assert (read.algorithm, read.kid, read.claims) == ("ES256", "k1", CLAIMS)


REFUSED: dict[str, str] = {
    "nothing": "..",
    "two parts": "a.b",
    "five parts, which is encrypted": "a.b.c.d.e",
    "a blank": token() + " ",
    "a line end": token() + "\n",
    "padding": f"{part(HEADER)}=.{part(CLAIMS)}.c2ln",
    "the other alphabet": f"{part(HEADER)}.{part(CLAIMS)}.c2+n",
    "letters of other scripts": f"{part(HEADER)}.{part(CLAIMS)}.\u0441lg",
    "a header that is no JSON": token(b"{alg"),
    "a header that is a list": token(["alg"]),
    "a header that is no UTF-8": token(b'{"alg":"\xff"}'),
    "claims that are a text": token(claims='"alice"'),
    "claims that are no JSON": token(claims=b"{'sub':1}"),
    "claims with NaN": token(claims='{"exp": NaN}'),
    "claims with Infinity": token(claims='{"exp": Infinity}'),
    "claims with an endless number": token(claims='{"exp": ' + "9" * 5000 + "}"),
    "claims behind a mark of order": token(claims="\ufeff{}"),
    "a name that stands twice in the header": token('{"alg": "none", "alg": "ES256"}'),
    "a name that stands twice in the claims": token(claims='{"sub": "alice", "sub": "admin"}'),
    "a name that stands twice in a claim": token(claims='{"a": {"b": 1, "b": 2}}'),
    "a name that stands twice by an escape": token(claims='{"sub": "alice", "\\u0073ub": "admin"}'),
    "depth": token(claims='{"a": ' + "[" * 6000 + "}"),
    "no algorithm": token({"kid": "k1"}),
    "an algorithm that is a list": token({"alg": ["ES256"]}),
    "extensions": token({**HEADER, "crit": ["exp"], "exp": 1}),
    "no extensions": token({**HEADER, "crit": []}),
    "a payload that is not encoded": token({**HEADER, "b64": False}),
    "a kid that is a number": token({**HEADER, "kid": 1}),
    "a kid without end": token({**HEADER, "kid": "k" * 300}),
    "a token that ends a session": token({**HEADER, "typ": "logout+jwt"}),
    "a proof of a key": token({**HEADER, "typ": "dpop+jwt"}),
    "a type that is a list": token({**HEADER, "typ": ["JWT"]}),
    "size": token(claims={"a": "x" * MOST_CHARS}),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_can_be_read_in_two_ways_or_in_none_is_refused(text: str) -> None:
    with pytest.raises(WrongToken) as refused:
        read_token(text)
    assert text not in refused.value.message


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: f"{part(raw)}.{part(raw)}.{part(raw)}"))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    with suppress(WrongToken):
        assert isinstance(read_token(text).algorithm, str)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jku"]), ANY_JSON), ANY_JSON)
def test_whatever_json_is_in_it_it_is_read_or_refused(header: dict[str, Any], claims: Any) -> None:
    try:
        read = read_token(token(header, claims))
    except WrongToken:
        return
    assert read.claims == json.loads(json.dumps(claims))


@pytest.mark.parametrize(
    ("key", "expected"), [("a.b.c", True), ("..", True), ("llms_aaaa", False), ("a.b", False), ("a.b.c.d.e", False)]
)
def test_three_parts_are_taken_for_a_token(key: str, expected: bool) -> None:
    assert is_token(key) is expected
