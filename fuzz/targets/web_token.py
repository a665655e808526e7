"""Tokens of strangers are read or refused, and make callers with safe ids alone; key sets are read or refused."""

import json
import re
from base64 import urlsafe_b64encode
from functools import cache
from typing import Any, Final

from llm_service.domain import InvalidApiKey
from llm_service.services import IssuerOptions, load_reader
from llm_service.services.issuers.base import ReadKeys
from llm_service.services.issuers.claims import caller_of
from llm_service.services.issuers.options import Condition, Grant
from llm_service.services.issuers.presented import read_token

_ID: Final = re.compile(r"jwt:sso:(?:[A-Za-z0-9._@:|/-]{1,128}|~[0-9a-f]{64})")
_NOW: Final = 1_795_000_000.0


@cache
def options() -> IssuerOptions:
    return IssuerOptions(
        name="sso",
        issuer="https://sso.example.com",
        audience=("llm",),
        require=(Condition(claim="a.b", has=("c*",)),),
        grants=(Grant(claim="groups", has=("ml",), scopes=("inference",), models=("deepseek/*",)),),
    )


@cache
def reader() -> ReadKeys:
    return load_reader()


def one(data: bytes) -> None:
    """``data``: head, claims and signature on three lines, to be encoded; or a whole token; or a key set."""
    head, claims, signature = (*data.split(b"\n", 2), b"", b"")[:3]
    encoded = ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in (head, claims, signature))
    for text in (encoded, data.decode("latin-1")):
        try:
            token = read_token(text)
        except InvalidApiKey as refused:
            assert len(text) < 60 or text not in refused.message
            continue
        judge(dict(token.claims))
        assert token.claims == json.loads(json.dumps(token.claims))
    check_keys(data)


def judge(claims: dict[str, Any]) -> None:
    try:
        caller, ends_at = caller_of(claims, options(), now=_NOW)
    except InvalidApiKey:
        return
    assert _ID.fullmatch(caller.key_id)
    assert caller.key is not None
    assert caller.key.user is not None
    assert caller.key.user.startswith("sso:")
    assert caller.key.user.isprintable()
    assert caller.key.models is not None
    assert caller.scopes <= {"inference"}
    assert ends_at > _NOW


def check_keys(data: bytes) -> None:
    try:
        keys = reader()(data)
    except ValueError:
        return
    for algorithm in ("RS256", "ES256", "EdDSA", "HS256", "none"):
        assert keys.verdict("YQ.YQ.YQ", kid=None, algorithm=algorithm) != "signed"
