"""Key sets of issuers: which keys are taken, and what each of them verifies."""

import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from llm_service.services import load_reader
from llm_service.services.issuers.base import KeySet, Verdict
from llm_service.services.issuers.options import ALGORITHMS
from tests.support.issuers import part, private_key, public_jwk, signed
from tests.unit.services.test_presented_tokens import ANY_JSON

read = load_reader()
CLAIMS = {"sub": "alice"}


def key_set(*keys: Mapping[str, Any]) -> KeySet:
    return read(json.dumps({"keys": keys}).encode())


def jwk(algorithm: str, *, number: int = 0, **facts: Any) -> dict[str, Any]:
    return public_jwk(private_key(algorithm, number), **facts)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_verifies_what_it_has_signed_and_nothing_else(algorithm: str) -> None:
    kind = "RS256" if algorithm[:2] in ("RS", "PS") else algorithm
    keys = key_set(jwk(kind, kid="k1"))
    mine, others = (signed(CLAIMS, private_key(kind, number), algorithm) for number in (0, 1))
    assert keys.verdict(mine, kid="k1", algorithm=algorithm) == "signed"
    assert keys.verdict(others, kid="k1", algorithm=algorithm) == "forged"


@pytest.mark.parametrize("algorithm", ["none", "None", "", "HS256", "HS384", "HS512", "ES256K", "RS1", "es256"])
def test_other_algorithms_have_no_key(algorithm: str) -> None:
    keys = key_set(jwk("RS256", kid="k1"), jwk("ES256", kid="k1"))
    assert keys.verdict("a.b.c", kid="k1", algorithm=algorithm) == "unknown_key"
    assert keys.verdict("a.b.c", kid=None, algorithm=algorithm) == "unknown_key"


def test_a_public_key_is_no_shared_secret() -> None:
    """The classic confusion: a token signed by HMAC with the text of the public key."""
    public = private_key("RS256").public_key()
    keys = key_set(jwk("RS256", kid="k1"))
    for secret in (public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), keys_text("RS256")):
        forged = by_hmac(secret)
        assert keys.verdict(forged, kid="k1", algorithm="HS256") == "unknown_key"
        assert keys.verdict(forged, kid="k1", algorithm="RS256") == "forged"


def keys_text(algorithm: str) -> bytes:
    return json.dumps(jwk(algorithm)).encode()


def by_hmac(secret: bytes) -> str:
    said = f"{part({'alg': 'HS256', 'kid': 'k1'})}.{part(CLAIMS)}"
    return f"{said}.{part(hmac.digest(secret, said.encode(), 'sha256'))}"


def test_the_algorithm_in_the_head_must_be_the_one_that_is_verified_by() -> None:
    token = signed(CLAIMS, private_key("RS256"), "RS512")
    keys = key_set(jwk("RS256", kid="k1"))
    assert keys.verdict(token, kid="k1", algorithm="RS256") == "forged"


def test_a_token_without_an_id_is_verified_where_one_key_alone_fits() -> None:
    token = signed(CLAIMS, private_key("ES256"), "ES256")
    assert (
        key_set(jwk("ES256", kid="k1"), jwk("RS256", kid="k2")).verdict(token, kid=None, algorithm="ES256") == "signed"
    )
    two = key_set(jwk("ES256", kid="k1"), jwk("ES256", number=1, kid="k2"))
    assert two.verdict(token, kid=None, algorithm="ES256") == "unknown_key"


@pytest.mark.parametrize(
    "kid", ["../k1", "k1/../k1", "K1", "k1\x00", "", "k1' OR '1'='1", "/etc/passwd", "http://x/k1"]
)
def test_an_id_is_a_name_and_nothing_that_leads_anywhere(kid: str) -> None:
    token = signed(CLAIMS, private_key("ES256"), "ES256")
    assert key_set(jwk("ES256", kid="k1")).verdict(token, kid=kid, algorithm="ES256") == "unknown_key"


@pytest.mark.parametrize(
    "left_out",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"alg": "RSA-OAEP"},
        {"alg": "ES384"},
        {"kid": 7},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "XY"},
        {"crv": "P-999"},
        {"crv": "secp256k1"},
        {"x": "AAAA"},
        {"x": None},
        {"kty": ["EC"]},
    ],
    ids=str,
)
def test_a_key_that_is_for_something_else_or_broken_is_left_out(left_out: dict[str, Any]) -> None:
    token = signed(CLAIMS, private_key("ES256"), "ES256")
    odd = {**jwk("ES256", kid="k1"), **left_out}
    with pytest.raises(ValueError, match="no key that can verify"):
        key_set(odd)
    beside = key_set(odd, jwk("RS256", kid="k2"))
    assert beside.verdict(token, kid="k1", algorithm="ES256") == "unknown_key"


def test_a_key_that_this_machine_may_not_use_takes_no_other_along(monkeypatch: pytest.MonkeyPatch) -> None:
    keys, public = (jwk("EdDSA", kid="k1"), jwk("ES256", kid="k2")), ed25519.Ed25519PublicKey

    def forbidden(_: bytes) -> None:
        raise UnsupportedAlgorithm("not in FIPS mode")

    monkeypatch.setattr(public, "from_public_bytes", forbidden)
    token = signed(CLAIMS, private_key("ES256"), "ES256")
    assert key_set(*keys).verdict(token, kid="k2", algorithm="ES256") == "signed"
    with pytest.raises(ValueError, match="no key that can verify"):
        key_set(keys[0])


def test_a_short_key_of_rsa_is_left_out() -> None:
    with pytest.raises(ValueError, match="no key that can verify"):
        key_set(public_jwk(private_key("RS256", bits=1024), kid="k1"))


def test_of_a_private_key_that_was_shown_the_public_part_is_taken() -> None:
    verdict: Verdict = key_set({**jwk("ES256", kid="k1"), "d": "AAAA"}).verdict(
        signed(CLAIMS, private_key("ES256"), "ES256"), kid="k1", algorithm="ES256"
    )
    assert verdict == "signed"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [null]}', b"\xff\xfe", b"[" * 100_000],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_set_of_keys_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"is no JSON|is no set of keys|has no key"):
        read(text)


def test_a_set_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="100 at most"):
        key_set(*[jwk("ES256", kid=str(number)) for number in range(101)])


NAMES = st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid", "alg", "use", "key_ops", "d"])
WORDS = st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "P-384", "Ed25519", "sig", "AQAB", "AAAA"])


@given(st.lists(st.dictionaries(NAMES, WORDS | ANY_JSON), max_size=3) | ANY_JSON)
def test_whatever_an_issuer_says_is_read_or_refused(keys: Any) -> None:
    try:
        found = read(json.dumps({"keys": keys}).encode())
    except ValueError:
        return
    assert found.verdict("a.b.c", kid="k1", algorithm="ES256") in ("forged", "unknown_key")
