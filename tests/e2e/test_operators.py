"""What is for operators tells nobody else anything: every route of the router, every trick that comes to mind."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import orjson
import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
)
from starlette.routing import Route as StarletteRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from llm_service.api.graphql.access import ACCESS
from llm_service.api.graphql.schema import build_schema, core_of
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.sandbox import Sandbox
from tests.support.rest import Answer, Connection, ask, connected
from tests.support.service import Running, running
from tests.support.shared_answers import ADMIN_KEY, settings_for
from tests.support.sockets import opened

ERROR = {"error", "request_id", "provider", "retryable"}
GUARDED = ("/admin", "/metrics", "/docs", "/openapi.json")
"""What no caller's key opens."""


@dataclass
class Site:
    """A service with keys of every kind."""

    service: Running
    keys: Mapping[str, str]

    @property
    def address(self) -> str:
        return self.service.address

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Method and path of everything that is guarded, from the router itself."""
        router = self.service.service.app._control._app.router
        found = [(min(one.methods - {"HEAD"}), one.path) for one in router.routes if isinstance(one, StarletteRoute)]
        return [(method, concrete(path)) for method, path in found if path.startswith(GUARDED)]


def concrete(path: str) -> str:
    return re.sub(r"{\w+(:path)?}", "x", path)


def guarded(sandbox: Sandbox) -> Settings:
    """Everybody needs a key."""
    return settings_for(sandbox, guarded=True)


@asynccontextmanager
async def site(settings: Settings) -> AsyncIterator[Site]:
    async with running(settings) as service:
        keys = service.stores.keys
        soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        made = {
            name: await keys.create({"name": name, "expires_at": soon}) for name in ("caller", "expired", "revoked")
        }
        await keys.revoke(made["revoked"].key.id)
        past = datetime.now(UTC) - timedelta(seconds=5)
        await service.stores.database.keys.update(replace(made["expired"].key, expires_at=past, version=2))
        yield Site(service, {name: one.secret.reveal() for name, one in made.items()})


def learns_nothing(answer: Answer, asked: object) -> None:
    """An error, and nothing beside it."""
    assert answer.status in (401, 403, 404), f"{asked}: {answer.status} {answer.body!r}"
    said = answer.json()
    assert said.keys() == ERROR, asked
    assert said["error"].keys() == {"message", "type", "param", "code"}, asked
    assert ADMIN_KEY not in answer.body.decode()


async def tried(connection: Connection, method: str, target: str, **headers: str) -> Answer:
    body = b"" if method in ("GET", "DELETE") else b"{}"
    return await connection.ask(method, target, body, **headers)


def strangers(keys: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """What is shown in place of an operator's key: a name, a query, and headers."""
    yield "nothing", "", {}
    for name, key in keys.items():
        yield name, "", {"Authorization": f"Bearer {key}"}
        yield f"{name} as x-api-key", "", {"x_api_key": key}
    for name in ("key", "api_key", "access_token", "token", "x-api-key", "authorization"):
        yield f"the admin key in the query, as {name}", f"?{name}={ADMIN_KEY}", {}
    yield "the admin key as a password", "", {"Authorization": "Basic YWRtaW46" + ADMIN_KEY}
    yield "the admin key as a cookie", "", {"Cookie": f"llm-session={ADMIN_KEY}; __Host-llm-session={ADMIN_KEY}"}
    yield "two keys", "", {"Authorization": f"Bearer {keys['caller']}, Bearer {ADMIN_KEY}"}
    yield "a foreign page", "", {"Origin": "https://evil.example"}
    yield "a forged Host", "", {"Host": "127.0.0.1"}
    yield "words of a proxy", "", {"X_Forwarded_For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X_Real_IP": "::1"}


async def test_every_route_of_operators_tells_nobody_else_anything(sandbox: Sandbox) -> None:
    async with site(guarded(sandbox)) as place, connected(place.address) as connection:
        routes = place.routes
        assert {"/admin/config", "/admin/keys", "/admin/usage/export", "/metrics"} <= {path for _, path in routes}
        for name, query, headers in strangers(place.keys):
            for method, path in routes:
                answer = await tried(connection, method, path + query, **headers)
                learns_nothing(answer, (name, method, path))


TRICKS = (
    "//admin/config", "///admin/config", "/./admin/config", "/x/../admin/config", "/admin/../admin/config",
    "/health/../admin/config", "/v1/models/../../admin/config", "/%2e%2e/admin/config", "/health/%2e%2e/admin/config",
    "/%2561dmin/config", "/%61dmin/config", "/ADMIN/config", "/Admin/Config", "/admin/config/", "/admin//config",
    "/admin/config/.", "/admin/config.", "/admin/config..", "/admin./config", "/admin/config;x", "/admin;x/config",
    "/admin/config;.css", "/admin/config%00", "/admin/config%00.css", "/admin/config%20", "/admin/config%09",
    "/admin/config%0a", "/admin%2fconfig", "/admin%252fconfig", "/admin%5cconfig", "/admin/config?", "/admin/config#x",
    "/health#/../admin/config", "/health?/admin/config", "/health;/../admin/config", "/health/admin/config",
    "/dashboard/../admin/config", "/dashboard/session/../../admin/config", "/docs/%2e%2e%2fadmin%2fconfig",
    "/admin/config.json", "/admin/config/x", "/v1/admin/config", "/admin/keys/../config", "/%c0%ae%c0%ae/admin/config",
    "/admin/config%3f", "http://127.0.0.1/admin/config", "http://evil.example/admin/config", "*",
)  # fmt: skip
REWRITES = (
    "X_Original_URL", "X_Rewrite_URL", "X_Original_URI", "X_Forwarded_Prefix", "X_Forwarded_Path", "X_Forwarded_Uri",
    "X_Custom_IP_Authorization", "X_HTTP_DestinationURL", "Referer", "Base_Url", "Request_Uri", "Proxy_Url",
)  # fmt: skip
OVERRIDES = ("X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override", "_method")


async def test_no_trick_with_a_path_comes_to_what_is_for_operators(sandbox: Sandbox) -> None:
    """By a caller's key, and without one: what is open answers as ever, and the rest with an error."""
    async with site(guarded(sandbox)) as place:
        open_answers = {(await ask(place.address, "GET", path)).body[:9] for path in ("/health", "/dashboard")}
        for headers in ({}, {"Authorization": f"Bearer {place.keys['caller']}"}):
            for target in TRICKS:
                answer = await ask(place.address, "GET", target, **headers)
                if answer.status == 200:
                    assert answer.body[:9] in open_answers, target
                else:
                    assert answer.status in (400, 401, 403, 404), (target, answer.status)
                assert b'"settings"' not in answer.body, target


async def test_no_header_makes_another_request_of_one(sandbox: Sandbox) -> None:
    async with site(guarded(sandbox)) as place, connected(place.address) as connection:
        caller = {"Authorization": f"Bearer {place.keys['caller']}"}
        known = (await connection.ask("GET", "/v1/models", **caller)).json()["object"]
        for name in REWRITES:
            answer = await connection.ask("GET", "/v1/models", **caller, **{name: "/admin/config"})
            assert answer.json()["object"] == known, name
            answer = await connection.ask("GET", "/admin/config", **caller, **{name: "/health"})
            learns_nothing(answer, name)
        admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
        (key_id,) = [
            key["id"]
            for key in (await connection.ask("GET", "/admin/keys", **admin)).json()["data"]
            if key["name"] == "caller"
        ]
        for name in OVERRIDES:
            answer = await connection.ask("GET", f"/admin/keys/{key_id}?_method=DELETE", **admin, **{name: "DELETE"})
            assert answer.json()["revoked_at"] is None, name


async def test_other_methods_learn_nothing_either(sandbox: Sandbox) -> None:
    async with site(guarded(sandbox)) as place:
        for path in sorted({path for _, path in place.routes}):
            for method in ("HEAD", "OPTIONS", "TRACE", "PUT", "CONNECT", "PROPFIND", "PURGE"):
                async with connected(place.address) as connection:
                    connection.send(method, path)
                    status, headers = await connection.head()
                assert status in (400, 401, 403, 404, 405), (method, path, status)
                assert not {"access-control-allow-origin", "set-cookie"} & headers.keys()


# -- without keys


FOREIGN = {
    "another Host": {"Host": "evil.example"},
    "a Host that begins alike": {"Host": "127.0.0.1.evil.example"},
    "a Host that ends alike": {"Host": "evil.example:127.0.0.1"},
    "a Host with a name before it": {"Host": "evil@127.0.0.1"},
    "an address that is everybody's": {"Host": "0.0.0.0"},
    "a foreign page": {"Origin": "https://evil.example"},
    "a page without an origin": {"Origin": "null"},
    "another port's page": {"Origin": "http://127.0.0.1:1"},
    "a page that begins alike": {"Origin": "http://127.0.0.1.evil.example"},
    **{
        f"a proxy that says {name.replace('_', '-')}": {name: "127.0.0.1"}
        for name in (
            "Forwarded X_Forwarded_For X_Forwarded_Host X_Forwarded_Proto X_Forwarded_Port X_Forwarded_Server "
            "X_Forwarded X_Forwarded_User X_Forwarded_Whatever X_Real_IP X_Client_IP True_Client_IP CF_Connecting_IP "
            "Via X_Original_URL X_Rewrite_URL X_Cluster_Client_IP X_Original_Forwarded_For"
        ).split()
    },
}


async def test_without_a_key_only_this_machine_itself_is_answered(sandbox: Sandbox) -> None:
    async with site(settings_for(sandbox)) as place, connected(place.address) as connection:
        reads = [path for method, path in place.routes if method == "GET"]
        asked = [("GET", path) for path in (*reads, "/", "/v1/models", "/graphql?query=%7Bme%7BkeyId%7D%7D")]
        asked += [("POST", path) for path in ("/v1/chat/completions", "/v1/explain", "/graphql", "/admin/keys")]
        assert (await tried(connection, "GET", "/admin/config")).status == 200
        for name, headers in FOREIGN.items():
            for method, path in asked if name in ("another Host", "a foreign page") else asked[:3] + asked[-4:]:
                answer = await tried(connection, method, path, **headers)
                assert answer.status == 403, (name, method, path, answer.body)
                assert b"not_local" in answer.body
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = await tried(connection, "POST", "/admin/keys", Content_Type=kind)
            assert answer.status == 403, kind


async def test_without_a_key_no_socket_is_opened_for_others(sandbox: Sandbox) -> None:
    async with site(settings_for(sandbox)) as place:
        for name, headers in FOREIGN.items():
            if "Host" in headers:  # the client's library sends its own
                continue
            shown = {key.replace("_", "-"): value for key, value in headers.items()}
            async with opened(place.address, shown) as client:
                with suppress(ConnectionClosed):  # it may have been closed already
                    await client.create()
                assert await client.closed() in (4401, 4403), name
                assert {frame["type"] for frame in client.frames} <= {"error"}, name
        for origin in ("https://evil.example", "null"):
            with pytest.raises(InvalidStatus) as denied:
                await connect(
                    place.address.replace("http", "ws", 1) + "/graphql",
                    subprotocols=[Subprotocol("graphql-transport-ws")],
                    additional_headers={"Origin": origin},
                    proxy=None,
                )
            assert denied.value.response.status_code == 403


# -- GraphQL


def literal(argument: object) -> str:
    """Something that is right for an argument that must be given."""
    if isinstance(argument, GraphQLNonNull):
        return literal(argument.of_type)
    if isinstance(argument, GraphQLList):
        return f"[{literal(argument.of_type)}]"
    if isinstance(argument, GraphQLInputObjectType):
        return "{" + ", ".join(given(argument.fields)) + "}"
    if isinstance(argument, GraphQLEnumType):
        return next(iter(argument.values))
    return {"Boolean": "true", "Int": "1", "Float": "1"}.get(str(argument), '"x"')


def given(arguments: Mapping[str, GraphQLArgument]) -> list[str]:
    return [f"{name}: {literal(one.type)}" for name, one in arguments.items() if isinstance(one.type, GraphQLNonNull)]


def documents() -> dict[str, str]:
    """One for each field of the roots that no caller's key may ask for, by the field."""
    schema = core_of(build_schema())
    made = {}
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        assert root is not None
        for name, field in root.fields.items():
            if "inference" in ACCESS[f"{root}.{name}"]:
                continue
            arguments = given(field.args)
            wanted = " {__typename}" if isinstance(get_named_type(field.type), GraphQLObjectType) else ""
            said = f"{name}({', '.join(arguments)})" if arguments else name
            made[f"{root}.{name}"] = f"{str(root).lower()} {{ {said}{wanted} }}"
    return made


async def test_graphql_tells_callers_nothing_that_is_for_operators(sandbox: Sandbox) -> None:
    asks = documents()
    assert {"Query.keys", "Mutation.createKey", "Subscription.events"} <= asks.keys()
    async with site(guarded(sandbox)) as place, connected(place.address) as connection:
        for path, document in asks.items():
            accept = "text/event-stream" if path.startswith("Subscription") else "application/json"
            body = orjson.dumps({"query": document})
            for name, key in place.keys.items():
                headers = {"Authorization": f"Bearer {key}", "Accept": accept}
                answer = await connection.ask("POST", "/graphql", body, **headers)
                code = b'"scope_missing"' if name == "caller" else b'"invalid_api_key"'
                assert code in answer.body, (path, name, answer.body)
                assert b"__typename" not in answer.body
            learns = await connection.ask("POST", f"/graphql?key={quote(ADMIN_KEY)}", body, Accept=accept)
            assert learns.status == 401, path


# -- what they do


AUDIT = """{ auditLog { edges { node {
    id at keyId keyName peer door act subject fields outcome errorCode requestId times } } } }"""


async def test_what_operators_do_at_each_door_is_in_the_audit_log_and_every_door_shows_the_same(
    sandbox: Sandbox,
) -> None:
    async with site(guarded(sandbox)) as place, connected(place.address) as connection:
        admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
        caller = {"Authorization": f"Bearer {place.keys['caller']}"}
        made = (
            await connection.ask("POST", "/admin/keys", b'{"name": "by REST", "scopes": ["admin"]}', **admin)
        ).json()
        operator = {"Authorization": f"Bearer {made['key']}"}
        key_id = made["id"]

        async def mutate(document: str, **headers: str) -> Answer:
            return await connection.ask("POST", "/graphql", orjson.dumps({"query": document}), **headers)

        await mutate(f'mutation {{ updateKey(id: "{key_id}", input: {{name: "by GraphQL"}}) {{ id }} }}', **operator)
        await mutate('mutation { createKey(input: {name: "n"}) { secret } }', **caller)
        await connection.ask("DELETE", "/admin/cache?all=true", **caller)
        signing_in = orjson.dumps({"key": made["key"]})
        signed_in = await connection.ask("POST", "/dashboard/session", signing_in, Origin=place.address)
        page = {
            "Cookie": signed_in.headers["set-cookie"].split(";")[0],
            "Origin": place.address,
            "X-LLM-CSRF": signed_in.json()["csrf"],
            "Sec-Fetch-Site": "same-origin",
        }
        drained = await connection.ask("PATCH", "/admin/providers/plain", b'{"drain": true}', **page)
        assert drained.status == 200, drained.body
        await connection.ask("DELETE", f"/admin/keys/{key_id}", **admin)
        told = (await connection.ask("GET", "/admin/audit", **admin)).json()["data"]
        by_name = "by GraphQL"
        assert [(one["door"], one["act"], one["outcome"], one["key_name"], one["subject"]) for one in told[::-1]] == [
            ("rest", "key.create", "done", None, key_id),
            ("graphql", "key.update", "done", "by REST", key_id),
            ("graphql", "key.create", "refused", "caller", None),
            ("rest", "cache.purge", "refused", "caller", None),
            ("dashboard", "session.open", "done", by_name, None),
            ("dashboard", "provider.drain", "done", by_name, "plain"),
            ("rest", "key.revoke", "done", None, key_id),
        ]
        assert [one["fields"] for one in told[::-1]][:2] == [["name", "scopes"], ["name"]]
        assert {one["key_id"] for one in told} == {"admin", key_id, place.service.log.of("admin")[2]["key_id"]}
        assert [one["request_id"] for one in told[::-1]] == [
            line["request_id"] for line in place.service.log.of("admin")
        ]
        edges = (await mutate(AUDIT, **admin)).json()["data"]["auditLog"]["edges"]
        for one in told:
            one["outcome"], one["door"] = one["outcome"].upper(), one["door"].upper()
        assert [edge["node"] for edge in edges] == [{camel(name): what for name, what in one.items()} for one in told]
        text = str(told)
        assert not [secret for secret in (ADMIN_KEY, made["key"], *place.keys.values()) if secret in text]


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


# -- guesses


async def by_socket(address: str, path: str) -> int:
    """The code with which a socket closes that shows a wrong key, or the status of its handshake."""
    protocols = [Subprotocol("graphql-transport-ws")] if path == "/graphql" else None
    async with connect(address.replace("http", "ws", 1) + path, subprotocols=protocols, proxy=None) as socket:
        kind = "connection_init" if protocols else "auth"
        shown = {"payload": {"key": "guess"}} if protocols else {"key": "guess"}
        await socket.send(orjson.dumps({"type": kind, **shown}).decode())
        await socket.wait_closed()
        return socket.close_code or 0


async def by_each_door(address: str) -> list[int]:
    """What a wrong key gets: at REST, at GraphQL, at the dashboard, and at both WebSockets."""
    wrong = {"Authorization": "Bearer guess"}
    signing_in = orjson.dumps({"key": "guess"})
    return [
        (await ask(address, "POST", "/v1/chat/completions", b"{}", **wrong)).status,
        (await ask(address, "GET", "/v1/models", **wrong)).status,
        (await ask(address, "POST", "/graphql", b'{"query": "{me{keyId}}"}', **wrong)).status,
        (await ask(address, "POST", "/dashboard/session", signing_in, Origin=address)).status,
        await by_socket(address, "/v1/ws"),
        await by_socket(address, "/graphql"),
    ]


async def test_wrong_keys_are_counted_at_all_doors_together(sandbox: Sandbox) -> None:
    settings = guarded(sandbox)
    short = Secret("short-admin-key")
    settings = replace(settings, auth=replace(settings.auth, admin_key=short, wrong_keys_per_minute=7))
    authorization = f"Bearer {short.reveal()}"
    async with site(settings) as place:
        assert await by_each_door(place.address) == [401, 401, 401, 401, 4401, 4401]
        assert (await ask(place.address, "GET", "/admin/config", Authorization=authorization)).status == 200
        assert await by_each_door(place.address) == [401, 401, 401, 401, 4401, 4401]
        refused = await ask(place.address, "GET", "/admin/config", Authorization=authorization)
        assert (refused.status, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert "Too many wrong keys" in refused.json()["error"]["message"]
        caller = {"Authorization": f"Bearer {place.keys['caller']}"}
        assert (await ask(place.address, "GET", "/v1/models", **caller)).status == 200


# -- what every response says


async def test_every_response_says_how_browsers_have_to_take_it_and_nothing_of_what_serves(sandbox: Sandbox) -> None:
    async with site(settings_for(sandbox)) as place:
        chat = orjson.dumps({"model": "plain/sandbox/chat", "messages": [{"role": "user", "content": "Hi"}]})
        asked = [
            *(
                ("GET", path, b"")
                for path in ("/", "/docs", "/dashboard", "/graphql", "/metrics", "/health", "/nothing")
            ),
            *(("GET", path, b"") for path in ("/v1/models", "/admin/keys", "/admin/config", "/v1/ws", "/v1/streams/x")),
            ("POST", "/v1/chat/completions", chat),
            ("POST", "/v1/chat/completions", chat[:-1] + b', "stream": true}'),
            ("POST", "/v1/chat/completions", b"nonsense"),
            ("POST", "/graphql", b'{"query": "{ me { keyId } }"}'),
            ("BREW", "/", b""),
        ]
        for method, path, body in asked:
            async with connected(place.address) as connection:
                headers = {"Accept": "text/html" if path == "/graphql" and method == "GET" else "*/*"}
                connection.send(method, path, body, **headers)
                lines = (await connection.reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")[1:-2]
            names = [line.partition(":")[0] for line in lines]
            assert len(names) == len({*names}), (path, lines)
            said = dict(line.split(": ", 1) for line in lines)
            assert (said["x-content-type-options"], said["referrer-policy"]) == ("nosniff", "no-referrer"), path
            assert (said["x-frame-options"], said["cross-origin-resource-policy"]) == ("deny", "same-origin"), path
            kept = said.get("cache-control", "for ever")
            assert "no-store" in kept or (kept == "no-cache" and "content-security-policy" in said), (
                method,
                path,
                said,
            )
            assert "frame-ancestors 'none'" in said.get("content-security-policy", "frame-ancestors 'none'")
            assert not {"server", "x-powered-by", "access-control-allow-origin"} & said.keys(), path


async def test_pages_of_other_origins_get_no_leave_unless_they_are_named(sandbox: Sandbox) -> None:
    async with site(guarded(sandbox)) as place, connected(place.address) as connection:
        asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization"}
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            for path in ("/v1/chat/completions", "/admin/keys", "/graphql"):
                answer = await connection.ask("OPTIONS", path, Origin=origin, **asked)
                assert answer.status in (401, 404, 405), (path, answer.status)
                assert not [name for name in answer.headers if name.startswith("access-control")]
