"""Clients of GraphQL, unmodified: gql for Python, graphql-ws and graphql-sse for node."""

import shutil
from typing import Any

import pytest
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from tests.support.graphql import CHAT, PLAIN, PRICED, STREAM, chat_input, chunks_of, data_of, said_in
from tests.support.node import SCRIPTS, told_by
from tests.support.service import Running

node_needed = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(not (SCRIPTS / "node_modules" / "graphql-ws").is_dir(), reason="graphql-ws is not installed"),
]


def over_http(gateway: Running, **other: Any) -> Client:
    return Client(transport=HTTPXAsyncTransport(url=f"{gateway.address}/graphql"), **other)


def over_socket(gateway: Running, **other: Any) -> Client:
    url = f"{gateway.address.replace('http', 'ws', 1)}/graphql"
    return Client(transport=WebsocketsTransport(url=url, **other))


async def test_gql_asks_and_finds_the_schema_by_introspection(gateway: Running) -> None:
    async with over_http(gateway, fetch_schema_from_transport=True) as session:
        told = await session.execute(GraphQLRequest(CHAT, variable_values={"input": chat_input()}))
        assert session.client.schema is not None
        assert "chatStream" in session.client.schema.subscription_type.fields
    same = await data_of(gateway.address, CHAT, {"input": chat_input()})
    assert told["chat"]["content"] == same["chat"]["content"] != ""


async def test_gql_gets_errors_with_their_codes(gateway: Running) -> None:
    async with over_http(gateway) as session:
        with pytest.raises(TransportQueryError) as failed:
            await session.execute(GraphQLRequest(CHAT, variable_values={"input": chat_input("nobody/sandbox/chat")}))
    assert failed.value.errors is not None
    extensions = failed.value.errors[0]["extensions"]
    assert extensions["code"] == "model_not_found"
    assert extensions["requestId"].startswith("req_")


async def test_gql_subscribes_and_goes_on_behind_a_cursor(gateway: Running) -> None:
    asked = {"input": chat_input(PRICED, options={"onDisconnect": "FINISH"})}
    async with over_socket(gateway, init_payload={"key": "local"}) as session:
        had: list[Any] = []
        results = session.subscribe(GraphQLRequest(STREAM, variable_values=asked))
        async for result in results:
            had.append(result["chatStream"])
            if len(had) == 5:
                break
        await results.aclose()
        after = {"after": had[-1]["cursor"]}
        rest = [
            result["chatStream"] async for result in session.subscribe(GraphQLRequest(STREAM, variable_values=after))
        ]
    whole = await chunks_of(gateway.address, {"after": f"{had[0]['streamId']}.0"})
    assert had + rest == whole
    assert rest[-1]["usage"]["outputTokens"] > 0


async def test_gql_gets_what_breaks_in_mid_stream(gateway: Running) -> None:
    async with over_socket(gateway) as session:
        asked = {"input": chat_input("plain/sandbox/reset-after-3")}
        with pytest.raises(TransportQueryError) as failed:
            async for _ in session.subscribe(GraphQLRequest(STREAM, variable_values=asked)):
                pass
    assert failed.value.errors is not None
    assert failed.value.errors[0]["extensions"]["code"] == "stream_interrupted"


class TestNode:
    pytestmark = node_needed

    async def test_graphql_ws_and_graphql_sse_tell_the_same(self, gateway: Running) -> None:
        told = await told_by("graphql.mjs", gateway.address, PRICED, PLAIN)
        for model in (PRICED, PLAIN):
            whole = await chunks_of(gateway.address, {"input": chat_input(model)})
            for client in ("ws", "sse"):
                seen = told[client][model]
                assert seen["errors"] == []
                assert said_in(seen["chunks"]) == said_in(whole) != ""
                assert seen["chunks"][-1]["usage"] == whole[-1]["usage"]
        for client in ("ws", "sse"):
            seqs = [chunk["seq"] for chunk in told[client]["resumed"]]
            assert seqs == list(range(1, len(seqs) + 1))
            assert said_in(told[client]["resumed"]) == said_in(told[client][PRICED]["chunks"])
            assert told[client]["failed"]["errors"] == ["stream_interrupted"]
            assert len(told[client]["failed"]["chunks"]) >= 3
            assert told[client]["refused"] == {"chunks": [], "errors": ["model_not_found"]}
        assert not gateway.log.of("defect")
