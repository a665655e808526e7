"""Key sets and signatures, by PyJWT over cryptography: the one module that knows these libraries (extra ``jwt``)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from jwt import PyJWK, PyJWS
from jwt.exceptions import PyJWTError

from llm_service.domain import fact
from llm_service.services.issuers.base import KeySet, Verdict
from llm_service.services.issuers.options import ALGORITHMS
from llm_service.services.issuers.presented import MOST_KID_CHARS

MOST_KEYS: Final = 100
MOST_TRIED: Final = 4
"""Keys of one id: a forged token costs no more signatures than these."""
RSA_BITS: Final = range(2048, 8192 + 1)
"""Shorter ones can be broken; longer ones take too long to verify with."""
_BY_KIND: Final[Mapping[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""What a key of this kind and curve may verify (RFC 7518, RFC 8037): a token's word never makes it another's."""
_UNUSABLE: Final = (PyJWTError, ValueError, UnsupportedAlgorithm)
"""What the libraries say of a key or a signature; the last where this machine's OpenSSL may not do it (FIPS)."""
_PUBLIC: Final = ("kty", "crv", "n", "e", "x", "y")


@fact
class _Key:
    """``algorithms``: what it verifies; ``public``: the key itself."""

    kid: str | None
    algorithms: Sequence[str]
    public: Any


class PublicKeys:
    """See :class:`KeySet`."""

    def __init__(self, keys: Sequence[_Key]) -> None:
        self._keys = keys
        self._jws = PyJWS(algorithms=ALGORITHMS)

    def verdict(self, token: str, *, kid: str | None, algorithm: str) -> Verdict:
        fit = [key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid)]
        if not fit or (kid is None and len(fit) > 1):
            return "unknown_key"
        return "signed" if any(self._is_signed(token, key, algorithm) for key in fit[:MOST_TRIED]) else "forged"

    def _is_signed(self, token: str, key: _Key, algorithm: str) -> bool:
        try:
            self._jws.decode_complete(token, key.public, algorithms=[algorithm])
        except _UNUSABLE:
            return False
        return True


def read_key_set(text: bytes) -> KeySet:
    """The keys of a JSON Web Key Set that can verify; others, secret ones among them, are left out, as RFC 7517 asks.

    Raises ValueError where none is left.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON") from None
    keys = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise ValueError(f"is no set of keys: it has no list 'keys' of {MOST_KEYS} at most")
    usable = [key for key in map(_key, keys) if key is not None]
    if not usable:
        raise ValueError("has no key that can verify a token: public ones of RSA (2048 bits), EC and Ed25519 can")
    return PublicKeys(usable)


def _key(said: Any) -> _Key | None:
    """A key that can be used, and only its public part."""
    if not isinstance(said, dict) or said.get("use", "sig") != "sig":
        return None
    operations, kid = said.get("key_ops"), said.get("kid")
    if isinstance(operations, list) and "verify" not in operations:
        return None
    if kid is not None and not (isinstance(kid, str) and len(kid) <= MOST_KID_CHARS):
        return None
    public = {name: said[name] for name in _PUBLIC if isinstance(said.get(name), str)}
    able = _BY_KIND.get((public.get("kty", ""), public.get("crv")), ())
    algorithms = [one for one in able if said.get("alg") in (None, one)]
    if not algorithms:
        return None
    try:
        key: Any = PyJWK(public, algorithm=algorithms[0]).key
    except _UNUSABLE:
        return None
    if public["kty"] == "RSA" and key.key_size not in RSA_BITS:
        return None
    return _Key(kid=kid, algorithms=algorithms, public=key)
