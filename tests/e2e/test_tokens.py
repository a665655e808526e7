"""Tokens of another issuer at every door of one service: what they open, what they do not, and that they end."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions
from llm_service.api import AuthOptions
from llm_service.domain import Secret
from llm_service.sandbox import Sandbox
from llm_service.services.issuers.options import Grant
from tests.support.graphql import data_of, error_of, socket_to
from tests.support.issuers import SigningIssuer, issuing, private_key, signed
from tests.support.rest import ask, chat_body, connected, events_of
from tests.support.service import Running, running
from tests.support.shared_answers import ADMIN, ADMIN_KEY, CHAT, TurnedClock, settings_for
from tests.support.sockets import opened

MODEL = "plain/sandbox/chat"
OPERATOR = {"groups": ["operators"]}
GRANTS = (Grant(claim="groups", has=("operators",), scopes=("read",)),)
AT_ONCE = 5
ME = "{ me { keyId scopes key { name user } } }"


@dataclass
class Site:
    """A service that takes the tokens of an issuer."""

    service: Running
    issuer: SigningIssuer
    clock: TurnedClock

    @property
    def address(self) -> str:
        return self.service.address

    def bearer(self, **claims: Any) -> dict[str, str]:
        return by(self.issuer.token(**claims))


def by(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def site(sandbox: Sandbox) -> AsyncIterator[Site]:
    async with issuing(now=time.time()) as issuer:
        auth = AuthOptions(
            admin_key=Secret(ADMIN_KEY),
            required="always",
            jwt=(issuer.options(models=("plain/*",), grants=GRANTS, leeway_s=0),),
        )
        clock = TurnedClock()
        limits = LimitsOptions(per_key=AllowanceOptions(requests_per_minute=AT_ONCE))
        async with running(settings_for(sandbox, auth=auth, limits=limits), clock=clock) as service:
            yield Site(service, issuer, clock)


async def test_a_token_opens_every_door_within_its_rights(site: Site) -> None:
    address, alice = site.address, site.bearer()
    answered = await ask(address, "POST", CHAT, chat_body(MODEL), **alice)
    streamed = await ask(address, "POST", CHAT, chat_body(MODEL, stream=True), x_api_key=site.issuer.token())
    assert (answered.status, streamed.status, events_of(streamed.body)[-1]) == (200, 200, "[DONE]")

    me = (await data_of(address, ME, **alice))["me"]
    assert me == {"keyId": "jwt:sso:alice", "scopes": ["INFERENCE"], "key": {"name": "jwt:sso", "user": "sso:alice"}}
    async with opened(address, alice) as socket:
        await socket.create(model=MODEL)
        assert (await socket.all_of())[-1]["type"] == "chat.done"
    async with opened(address) as socket:
        await socket.send("auth", key=site.issuer.token())
        await socket.create(model=MODEL)
        assert (await socket.all_of())[-1]["type"] == "chat.done"
    async with socket_to(address) as graphql:
        await graphql.begin(authorization=alice["Authorization"])
        await graphql.subscribe("{ me { keyId } }")
        assert (await graphql.to_the_end())[0]["payload"]["data"]["me"]["keyId"] == "jwt:sso:alice"

    record = await ask(address, "GET", f"/v1/generations/{answered.headers['x-request-id']}", **alice)
    assert (record.json()["key_id"], record.json()["user"]) == ("jwt:sso:alice", "sso:alice")
    beyond = await ask(address, "POST", CHAT, chat_body("openrouter/openai/gpt-4o-mini"), **alice)
    assert (beyond.status, beyond.json()["error"]["code"]) == (403, "model_not_allowed")
    for path in ("/admin/limits", "/admin/keys", "/metrics"):
        assert (await ask(address, "GET", path, **alice)).json()["error"]["code"] == "scope_missing"
    assert (await ask(address, "GET", "/metrics", **site.bearer(**OPERATOR))).status == 200
    assert site.issuer.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_limits_of_keys_are_those_of_each_subject(site: Site) -> None:
    async def asked(**claims: Any) -> int:
        return (await ask(site.address, "POST", CHAT, chat_body(MODEL), **site.bearer(**claims))).status

    statuses = [await asked(jti=str(number)) for number in range(AT_ONCE + 1)]
    assert statuses == [200] * AT_ONCE + [429]
    assert await asked(sub="bob") == 200
    where = await ask(site.address, "GET", f"/admin/limits?key_id={quote('jwt:sso:alice')}", **ADMIN)
    assert [(one["subject"], one["used"]) for one in where.json()["data"]] == [("jwt:sso:alice", AT_ONCE)]


async def test_the_dashboard_s_routes_take_a_token_as_a_header_and_open_no_session_for_it(site: Site) -> None:
    operator = site.issuer.token(**OPERATOR)
    told = await ask(site.address, "GET", "/dashboard/session", **by(operator))
    assert (told.json()["signed_in"], told.json()["key_id"]) == (True, "jwt:sso:alice")
    refused = await ask(site.address, "POST", "/dashboard/session", orjson.dumps({"key": operator}))
    assert (refused.status, "opens no session" in refused.json()["error"]["message"]) == (401, True)
    assert "set-cookie" not in refused.headers


async def test_a_forged_token_opens_no_door(site: Site) -> None:
    claims = site.issuer.claims(**OPERATOR)
    forged = by(signed(claims, private_key("ES256", 9), "ES256", kid="k1"))
    for method, path, body in (("POST", CHAT, chat_body(MODEL)), ("GET", "/v1/models", b""), ("GET", "/metrics", b"")):
        answer = await ask(site.address, method, path, body, **forged)
        assert (answer.status, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (await error_of(site.address, ME, **forged))["extensions"]["code"] == "invalid_api_key"
    async with opened(site.address, forged) as socket:
        assert await socket.closed() == 4401
    async with socket_to(site.address, **forged) as graphql:
        await graphql.send(type="connection_init")
        assert await graphql.close_code() == 4401


async def test_what_a_token_has_opened_ends_with_it_as_with_a_key_that_expires(site: Site) -> None:
    """A generation that runs goes on; nothing more is begun, and who listens hears no more."""
    token = site.issuer.token(**OPERATOR)
    async with opened(site.address, by(token)) as socket, connected(site.address) as listening:
        listening.send("GET", "/admin/events", **by(token))
        assert (await listening.head())[0] == 200
        await socket.create("a1", model=MODEL, options={"credit": 1})
        await socket.until("chat.chunk", "a1")
        site.clock.ahead_s = 700
        await socket.create("a2", model=MODEL)
        refused = await socket.until("error", "a2")
        assert refused["error"]["code"] == "invalid_api_key"
        pieces = b"".join([piece async for piece in listening.pieces()])
    assert b"invalid_api_key" in pieces
    assert (await ask(site.address, "GET", "/v1/models", **by(token))).status == 401


async def test_while_the_issuer_is_away_a_token_may_come_again(site: Site) -> None:
    site.issuer.away = True
    answer = await ask(site.address, "GET", "/v1/models", **site.bearer())
    assert (answer.status, answer.json()["error"]["code"]) == (503, "issuer_unavailable")
    assert answer.headers["x-should-retry"] == "true"
    async with opened(site.address, site.bearer()) as socket:
        assert await socket.closed() == 1013
