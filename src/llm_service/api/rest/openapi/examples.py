"""Requests to try, and streams to read. The requests work as they stand in sandbox mode; a test sends them all."""

from collections.abc import Mapping
from typing import Any, Final

Json = dict[str, Any]
Examples = Mapping[str, Mapping[str, Any]]

_HELLO: Final = [{"role": "user", "content": "Say hello."}]
_CHEAP: Final = "deepseek/deepseek-flash"
_WEATHER: Final = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather at a place.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

CHAT: Final[Examples] = {
    "whole": {"summary": "A whole answer", "value": {"model": _CHEAP, "messages": _HELLO}},
    "stream": {
        "summary": "A stream with its usage",
        "value": {
            "model": _CHEAP,
            "messages": _HELLO,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    },
    "tools": {
        "summary": "A function that the model may call",
        "value": {
            "model": "openrouter/openai/gpt-4o-mini",
            "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
            "tools": [_WEATHER],
        },
    },
    "json": {
        "summary": "An answer in JSON",
        "value": {
            "model": _CHEAP,
            "messages": [{"role": "user", "content": "Name a colour. Answer as a JSON object."}],
            "response_format": {"type": "json_object"},
        },
    },
}
COMPLETION: Final[Examples] = {
    "whole": {
        "summary": "A text goes on",
        "value": {"model": "openrouter/openai/gpt-4o-mini", "prompt": "Once upon a time", "max_tokens": 40},
    },
    "fill": {
        "summary": "A gap is filled",
        "value": {"model": _CHEAP, "prompt": "def add(a, b):\n", "suffix": "\n    return total\n", "max_tokens": 40},
    },
}
EMBEDDING: Final[Examples] = {
    "texts": {
        "summary": "Two texts",
        "value": {"model": "openrouter/openai/text-embedding-3-small", "input": ["first text", "second text"]},
    },
}

CHAT_STREAM: Final = """\
id: str_0675fd8a4aa9d5a1f0c2b7e884.1
data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1764000000,"model":"deepseek-flash",\
"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]}

: keep-alive
id: str_0675fd8a4aa9d5a1f0c2b7e884.2
data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1764000000,"model":"deepseek-flash",\
"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],\
"llm":{"request_id":"req_0675fd8a4aa94acc3cd1e26eb8","stream_id":"str_0675fd8a4aa9d5a1f0c2b7e884",\
"provider":"deepseek","model":"deepseek-flash","attempts":1,"cache":"miss"}}

data: [DONE]

"""
COMPLETION_STREAM: Final = """\
id: str_0675fd8a4aa9d5a1f0c2b7e884.1
data: {"id":"cmpl-1","object":"text_completion","created":1764000000,"model":"deepseek-flash",\
"choices":[{"index":0,"text":" total = a + b","finish_reason":"stop"}],\
"llm":{"request_id":"req_0675fd8a4aa94acc3cd1e26eb8","stream_id":"str_0675fd8a4aa9d5a1f0c2b7e884",\
"provider":"deepseek","model":"deepseek-flash","attempts":1,"cache":"miss"}}

data: [DONE]

"""
