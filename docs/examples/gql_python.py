"""GraphQL with gql: a mutation that asks, a subscription that streams, and what a refusal looks like.

Start a service (./serve), then: pip install "gql[websockets]"; python docs/examples/gql_python.py
LLM_URL and LLM_KEY name another service and a key.
"""

import asyncio
import os

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

URL = os.environ.get("LLM_URL", "http://127.0.0.1:8080") + "/graphql"
KEY = os.environ.get("LLM_KEY", "local")
ASK = """
mutation ($input: ChatInput!) {
  chat(input: $input) { content cost provider usage { inputTokens outputTokens } }
}
"""
LISTEN = """
subscription ($input: ChatInput) {
  chatStream(input: $input) { content finishReason usage { outputTokens } cost }
}
"""


def asked(model: str, text: str) -> dict:
    return {"input": {"model": model, "messages": [{"role": "USER", "content": text}]}}


async def main() -> None:
    # Queries, mutations and subscriptions alike go over the one socket.
    transport = WebsocketsTransport(url=URL.replace("http", "ws", 1), init_payload={"key": KEY})
    async with Client(transport=transport) as session:
        question = asked("openrouter/openai/gpt-4o-mini", "What is 12 * 12?")
        told = (await session.execute(GraphQLRequest(ASK, variable_values=question)))["chat"]
        print("query:", told["content"], "-", told["cost"], "USD, by", told["provider"])

        print("subscription: ", end="")
        listened = asked("openrouter/openai/gpt-4o-mini", "Count to 9.")
        async for result in session.subscribe(GraphQLRequest(LISTEN, variable_values=listened)):
            chunk = result["chatStream"]
            print(chunk["content"] or "", end="", flush=True)
        print("\ntokens:", chunk["usage"]["outputTokens"])

        try:
            await session.execute(GraphQLRequest(ASK, variable_values=asked("nobody/no-such-model", "Hello!")))
        except TransportQueryError as error:
            print("refused:", error.errors[0]["extensions"]["code"])


if __name__ == "__main__":
    asyncio.run(main())
