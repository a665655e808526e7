"""The official client of OpenAI: an answer, a stream, tools, and several questions at once.

Start a service (./serve), then: pip install openai; python docs/examples/openai_python.py
LLM_URL and LLM_KEY name another service and a key.
"""

import asyncio
import json
import os

from openai import APIStatusError, AsyncOpenAI, OpenAI

URL = os.environ.get("LLM_URL", "http://127.0.0.1:8080") + "/v1"
KEY = os.environ.get("LLM_KEY", "local")  # requests from the service's own machine need none
MODEL = "openrouter/openai/gpt-4o-mini"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def asked(text: str) -> list:
    return [{"role": "user", "content": text}]


def answer(client: OpenAI) -> None:
    """What it cost, and who answered, stands in the headers; ``with_raw_response`` shows them."""
    response = client.chat.completions.with_raw_response.create(model=MODEL, messages=asked("What is 12 * 12?"))
    print("answer:", response.parse().choices[0].message.content)
    print("cost:", response.headers["x-llm-cost-usd"], "USD, by", response.headers["x-llm-provider"])


def stream(client: OpenAI) -> None:
    print("stream: ", end="")
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(
        model=MODEL, messages=asked("Count to 9."), stream=True, stream_options=options
    ):
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
        if chunk.usage:
            print(f"\ntokens: {chunk.usage.completion_tokens}")


def get_weather(city: str) -> str:
    return f"sunny in {city}"


def tools(client: OpenAI) -> None:
    """The model says which function it wants; its result goes back, and the model answers."""
    messages = asked("What is the weather in Oslo?")
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER]).choices[0].message
    messages.append(first.model_dump(exclude_none=True))
    for call in first.tool_calls or ():
        result = get_weather(**json.loads(call.function.arguments))
        print("called:", call.function.name, call.function.arguments)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    last = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    print("with tools:", last.choices[0].message.content)


def refused(client: OpenAI) -> None:
    """Errors are the client's own classes; ``code`` is stable, and ``retryable`` says whether to try again."""
    try:
        client.chat.completions.create(model="nobody/no-such-model", messages=asked("Hello!"))
    except APIStatusError as error:
        print("refused:", error.status_code, error.code, "request", error.response.headers["x-request-id"])


async def at_once() -> None:
    async with AsyncOpenAI(base_url=URL, api_key=KEY) as client:
        questions = ("What is the capital of France?", "What is 6 * 7?", "Why is the sky blue?")
        answers = await asyncio.gather(
            *(client.chat.completions.create(model=MODEL, messages=asked(question)) for question in questions)
        )
    print("at once:", len(answers), "answers")


if __name__ == "__main__":
    with OpenAI(base_url=URL, api_key=KEY) as client:
        for example in (answer, stream, tools, refused):
            example(client)
    asyncio.run(at_once())
