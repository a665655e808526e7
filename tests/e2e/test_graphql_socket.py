"""GraphQL over WebSockets: the protocol's rules, and what ends a subscription."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from llm_service.api import AuthOptions, GraphqlOptions, ServerOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.sandbox import Sandbox
from tests.support.graphql import (
    CHAT,
    PLAIN,
    PRICED,
    STREAM,
    chat_input,
    chunks_of,
    data_of,
    said_in,
    socket_to,
)
from tests.support.rest import ask
from tests.support.service import Running, running, simulated
from tests.support.waiting import until, until_answered

pytestmark = pytest.mark.timed

ADMIN_KEY = "admin-key-1234567890"
LONG = {"extra": {"sandbox": "tokens-400+pace-20ms"}}
SLOW = {"extra": {"sandbox": "tokens-80+pace-10ms"}}
ME = "{ me { keyId } }"


@pytest.fixture
async def guarded(sandbox: Sandbox) -> AsyncIterator[Running]:
    """Keys are required, and pages of one foreign origin are allowed."""
    settings = Settings(
        server=ServerOptions(allowed_origins=("https://chat.example.com",)),
        auth=AuthOptions(admin_key=Secret(ADMIN_KEY), required="always"),
        graphql=GraphqlOptions(max_subscriptions_per_socket=3),
        providers=simulated(sandbox.address),
    )
    async with running(settings) as service:
        yield service


def chunks_in(messages: list[Any]) -> list[Any]:
    return [one["payload"]["data"]["chatStream"] for one in messages if one["type"] == "next"]


async def open_upstreams(sandbox: Sandbox) -> int:
    return int((await ask(sandbox.address, "GET", "/_stats")).json()["open"])


async def test_a_stream_comes_piece_by_piece_and_completes(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        await socket.subscribe(STREAM, {"input": chat_input(PRICED)})
        messages = await socket.to_the_end()
    chunks = chunks_in(messages)
    assert messages[-1] == {"id": "1", "type": "complete"}
    assert said_in(chunks) == said_in(await chunks_of(gateway.address, {"input": chat_input(PRICED)})) != ""
    assert [chunk["seq"] for chunk in chunks] == list(range(1, len(chunks) + 1))


async def test_queries_and_mutations_go_over_the_socket_as_well(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        await socket.subscribe(ME)
        assert await socket.to_the_end() == [
            {"id": "1", "type": "next", "payload": {"data": {"me": {"keyId": "local"}}}},
            {"id": "1", "type": "complete"},
        ]


async def test_many_streams_share_a_socket(gateway: Running) -> None:
    names = [str(number) for number in range(8)]
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        for name in names:
            await socket.subscribe(STREAM, {"input": chat_input()}, name=name)
        told: dict[str, list[Any]] = {name: [] for name in names}
        while not all(messages and messages[-1]["type"] == "complete" for messages in told.values()):
            message = await socket.receive()
            told[message["id"]].append(message)
    assert len({said_in(chunks_in(messages)) for messages in told.values()}) == 1


async def test_nothing_may_be_asked_before_the_hello(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.subscribe(ME)
        assert await socket.close_code() == 4401


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["x"], 4400),
        (["[]"], 4400),
        (['{"type":"dance"}'], 4400),
        (['{"type":"connection_init","payload":[]}'], 4400),
        (['{"type":"connection_init"}', '{"type":"connection_init"}'], 4429),
        (['{"type":"connection_init"}', '{"type":"subscribe","id":""}'], 4400),
        (['{"type":"connection_init"}', '{"type":"subscribe","payload":{}}'], 4400),
    ],
)
async def test_a_client_that_breaks_the_protocol_is_closed(gateway: Running, messages: list[str], code: int) -> None:
    async with socket_to(gateway.address) as socket:
        for message in messages:
            await socket.connection.send(message)
        assert await socket.close_code() == code
    assert not gateway.log.of("defect")


async def test_an_id_that_is_taken_closes_the_socket(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        for _ in range(2):
            await socket.subscribe(STREAM, {"input": chat_input(**LONG)})
        assert await socket.close_code() == 4409


async def test_the_legacy_protocol_is_off(gateway: Running) -> None:
    async with socket_to(gateway.address, protocol="graphql-ws") as socket:
        assert socket.connection.subprotocol is None
        assert await socket.close_code() == 4406


async def test_a_silent_client_is_closed(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    await data_of(gateway.address, ME)  # the door is built
    monkeypatch.setattr("llm_service.api.graphql.socket.INIT_WAIT_S", 0.05)
    async with socket_to(gateway.address) as socket:
        assert await socket.close_code() == 4408


async def test_little_is_kept_of_a_client_that_has_not_said_hello(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.send(type="ping", payload={"filled": "x" * 90_000})
        assert await socket.close_code() == 1009


async def test_whoever_has_said_hello_may_send_more(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.send(type="ping")
        await socket.send(type="connection_init")
        await socket.send(type="ping", payload={"filled": "x" * 90_000})
        assert [(await socket.receive())["type"] for _ in range(3)] == ["pong", "connection_ack", "pong"]


async def test_a_ping_is_answered(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        await socket.send(type="pong")
        await socket.begin()


@pytest.mark.parametrize(
    "payload",
    [
        {"authorization": f"Bearer {ADMIN_KEY}"},
        {"Authorization": f"bearer {ADMIN_KEY}"},
        {"key": ADMIN_KEY},
        {"x-api-key": ADMIN_KEY},
    ],
)
async def test_a_key_may_come_with_the_hello(guarded: Running, payload: dict[str, str]) -> None:
    async with socket_to(guarded.address) as socket:
        await socket.begin(**payload)
        await socket.subscribe(ME)
        assert (await socket.to_the_end())[0]["payload"]["data"]["me"]["keyId"] == "admin"


async def test_a_key_may_come_with_the_handshake(guarded: Running) -> None:
    async with socket_to(guarded.address, Authorization=f"Bearer {ADMIN_KEY}") as socket:
        await socket.begin()


@pytest.mark.parametrize("payload", [{}, {"key": "wrong"}, {"authorization": "Bearer "}])
async def test_without_a_good_key_nothing_is_begun(guarded: Running, payload: dict[str, str]) -> None:
    async with socket_to(guarded.address) as socket:
        await socket.send(type="connection_init", payload=payload)
        assert await socket.close_code() == 4401


async def test_pages_of_foreign_origins_are_refused_whatever_key_they_have(guarded: Running) -> None:
    key = f"Bearer {ADMIN_KEY}"
    for origin in ("https://evil.example.com", "null"):
        with pytest.raises(InvalidStatus) as refused:
            async with socket_to(guarded.address, Origin=origin, Authorization=key):
                pass
        assert refused.value.response.status_code == 403
    for origin in ("https://chat.example.com", guarded.address):
        async with socket_to(guarded.address, Origin=origin, Authorization=key) as socket:
            await socket.begin()


async def test_a_flood_of_subscriptions_is_refused_one_by_one(guarded: Running) -> None:
    async with socket_to(guarded.address, Authorization=f"Bearer {ADMIN_KEY}") as socket:
        await socket.begin()
        for number in range(10):
            await socket.subscribe(STREAM, {"input": chat_input(**LONG)}, name=str(number))
        refused = []
        while len(refused) < 7:
            if (message := await socket.receive())["type"] == "error":
                refused.append(message)
    assert {message["payload"][0]["extensions"]["code"] for message in refused} == {"document_too_complex"}


async def test_what_was_let_go_of_counts_until_it_has_ended(guarded: Running, sandbox: Sandbox) -> None:
    asked = chat_input("plain/sandbox/stall-head", options={"onDisconnect": "FINISH"})
    async with socket_to(guarded.address, Authorization=f"Bearer {ADMIN_KEY}") as socket:
        await socket.begin()
        for number in range(1, 7):
            await socket.subscribe(STREAM, {"input": asked}, name=str(number))
            await until(lambda count=number: sandbox.stats()["open"] == count)
            await socket.send(id=str(number), type="complete")
        await socket.subscribe(ME, name="7")
        (refused,) = await socket.to_the_end("7")
    assert refused["payload"][0]["extensions"]["code"] == "document_too_complex"


async def test_an_error_of_a_document_ends_its_operation_alone(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        await socket.subscribe("{ nothing }", name="bad")
        (error,) = await socket.to_the_end("bad")
        assert error["type"] == "error"
        assert error["payload"][0]["extensions"]["code"] == "invalid_document"
        await socket.subscribe(ME, name="good")
        assert (await socket.to_the_end("good"))[-1]["type"] == "complete"


async def test_what_breaks_in_mid_stream_is_the_subscriptions_error(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        await socket.subscribe(STREAM, {"input": chat_input("plain/sandbox/reset-after-3")})
        *chunks, last = await socket.to_the_end()
    assert len(chunks) >= 3
    assert (last["type"], last["payload"][0]["extensions"]["code"]) == ("error", "stream_interrupted")
    assert not gateway.log.of("defect")


@pytest.mark.parametrize("model", ["plain/sandbox/stall-after-3", "plain/sandbox/stall-head"])
async def test_who_completes_or_leaves_ends_the_upstream_within_a_second(
    gateway: Running, sandbox: Sandbox, model: str
) -> None:
    async def nothing_open() -> bool:
        return await open_upstreams(sandbox) == 0

    async def something_open() -> bool:
        return await open_upstreams(sandbox) == 1

    for leaves in (True, False):
        async with socket_to(gateway.address) as socket:
            await socket.begin()
            await socket.subscribe(STREAM, {"input": chat_input(model)})
            await until_answered(something_open)
            if leaves:
                await socket.connection.close()
            else:
                await socket.send(id="1", type="complete")
            await until_answered(nothing_open, within_s=1.0)
    await until(lambda: len(gateway.log.of("request")) == 2)
    assert [line["status"] for line in gateway.log.of("request")] == ["aborted", "aborted"]


async def test_a_resumed_subscription_gets_exactly_the_missing_events(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        await socket.subscribe(STREAM, {"input": chat_input(PRICED, options={"onDisconnect": "FINISH"}, **SLOW)})
        had = [(await socket.receive())["payload"]["data"]["chatStream"] for _ in range(10)]
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        await socket.subscribe(STREAM, {"after": had[-1]["cursor"]})
        rest = chunks_in(await socket.to_the_end())
    assert [chunk["seq"] for chunk in had + rest] == list(range(1, len(had + rest) + 1))
    again = await chunks_of(gateway.address, {"after": f"{had[0]['streamId']}.0"})
    assert again == had + rest


async def test_a_name_that_is_used_again_is_the_new_operations(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        for _ in range(20):
            await socket.subscribe(STREAM, {"input": chat_input(**LONG)})
            await socket.receive()
            await socket.send(id="1", type="complete")
            await socket.subscribe("{ health { status } }")
            messages = await socket.to_the_end()
            on_their_way = [message for message in messages if "chatStream" in str(message)]
            assert messages[len(on_their_way) :] == [
                {"id": "1", "type": "next", "payload": {"data": {"health": {"status": "ok"}}}},
                {"id": "1", "type": "complete"},
            ]


async def test_a_drain_closes_idle_sockets_and_cuts_what_runs(gateway: Running) -> None:
    async with socket_to(gateway.address) as idle, socket_to(gateway.address) as busy:
        await idle.begin()
        await busy.begin()
        await busy.subscribe(STREAM, {"input": chat_input(**LONG)})
        await busy.receive()
        hurried = asyncio.Event()
        draining = asyncio.create_task(gateway.service.serving.drain(5.0, hurried=hurried))
        assert await idle.close_code() == 1012
        hurried.set()
        await draining
        assert (await busy.to_the_end())[-1]["payload"][0]["extensions"]["code"] == "draining"
        assert await busy.close_code() == 1012


async def a_key(service: Running) -> tuple[str, str]:
    """A new key: its secret, and its id."""
    create = 'mutation { createKey(input: {name: "short"}) { secret key { id } } }'
    made = (await data_of(service.address, create, Authorization=f"Bearer {ADMIN_KEY}"))["createKey"]
    return made["secret"], made["key"]["id"]


async def test_a_socket_that_came_during_a_reload_is_closed_as_well(gateway: Running) -> None:
    gateway.service.serving.retired = True  # new settings answer from now on
    async with socket_to(gateway.address) as socket:
        assert await socket.close_code() == 1012


async def test_after_a_reload_nothing_more_is_begun_beside_what_runs(gateway: Running) -> None:
    async with socket_to(gateway.address) as socket:
        await socket.begin()
        await socket.subscribe(STREAM, {"input": chat_input(**LONG)})
        await socket.receive()
        gateway.service.serving.retire()  # new settings answer from now on, and may let others in
        await socket.subscribe(ME, name="2")
        refused = (await socket.to_the_end("2"))[-1]
        assert refused["payload"][0]["extensions"]["code"] == "draining"
        await socket.send(id="1", type="complete")
        assert await socket.close_code() == 1012


async def test_a_revoked_key_ends_its_subscriptions(guarded: Running) -> None:
    secret, key_id = await a_key(guarded)
    async with socket_to(guarded.address) as socket:
        await socket.begin(key=secret)
        await socket.subscribe(STREAM, {"input": chat_input(PLAIN, **LONG)})
        await socket.receive()
        await guarded.stores.keys.revoke(key_id)
        last = (await socket.to_the_end())[-1]
        assert last["payload"][0]["extensions"]["code"] == "key_revoked"
        await socket.subscribe(ME, name="2")
        refused = (await socket.to_the_end("2"))[-1]
        assert refused["payload"][0]["extensions"]["code"] == "invalid_api_key"


async def test_revocations_are_listened_to_while_something_runs_and_no_longer(guarded: Running) -> None:
    keys = guarded.stores.issued_keys
    await data_of(guarded.address, ME, Authorization=f"Bearer {ADMIN_KEY}")
    assert not keys.has_listeners
    async with socket_to(guarded.address) as socket:
        await socket.begin(key=ADMIN_KEY)
        for name in ("1", "2"):
            await socket.subscribe(STREAM, {"input": chat_input(**LONG)}, name=name)
            await socket.receive()
            assert keys.has_listeners
    await until(lambda: not keys.has_listeners)


@pytest.mark.parametrize("query", [CHAT, STREAM])
async def test_a_revoked_key_is_told_so_at_once_though_its_generation_is_to_finish(
    guarded: Running, sandbox: Sandbox, query: str
) -> None:
    secret, key_id = await a_key(guarded)
    asked = {"input": chat_input("plain/sandbox/stall-head", options={"onDisconnect": "FINISH"})}
    async with socket_to(guarded.address) as socket:
        await socket.begin(key=secret)
        await socket.subscribe(query, asked)

        async def something_open() -> bool:
            return await open_upstreams(sandbox) == 1

        await until_answered(something_open)
        await guarded.stores.keys.revoke(key_id)
        (last,) = await socket.to_the_end()
        assert (last["type"], last["payload"][0]["extensions"]["code"]) == ("error", "key_revoked")
        assert await something_open()
        serving = guarded.service.serving
        await serving.drain(0.0, hurried=asyncio.Event())
        await until(lambda: not serving._answering)
    assert not guarded.log.of("defect")
