"""What is asked through every door: each thing that an answer can be or have."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.doors import DOORS, STREAMING, Door, Options, Told
from tests.support.service import Running

OPENROUTER, DEEPSEEK, PLAIN = MODELS = (
    "openrouter/openai/gpt-4o-mini",
    "deepseek/deepseek-flash",
    "plain/sandbox/chat",
)
REFERENCE = DOORS[0]


def tool(name: str, argument: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": "A tool.", "parameters": parameters}}


TOOLS = [tool("get_weather", "city"), tool("get_time", "zone")]
SCHEMA = {
    "name": "capital",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": False,
    },
}
ASKS: Mapping[str, Mapping[str, Any]] = {
    "text": {},
    "text split inside characters": {"sandbox": "unicode+split-3"},
    "long text": {"sandbox": "tokens-400"},
    "separators": {"sandbox": "separators+split-2"},
    "tool calls": {
        "messages": [{"role": "user", "content": "The weather and the time in Paris, please."}],
        "tools": TOOLS,
        "tool_choice": "required",
        "sandbox": "tools-interleaved",
    },
    "a chosen tool": {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "get_time"}}},
    "reasoning": {"sandbox": "thinking"},
    "thought and call": {"tools": TOOLS, "sandbox": "thinking+tool-call"},
    "several answers": {"n": 2},
    "json": {"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "A city, as json."}]},
    "json by a schema": {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    "cut short": {"max_tokens": 40, "stop": ["\n\n"], "seed": 7, "temperature": 0.5, "top_p": 0.9},
    "cached prompt": {"sandbox": "cached-9+usage-empty-choices"},
    "no usage": {"sandbox": "usage-none"},
    "filtered": {"sandbox": "finish-content_filter"},
    "parts and roles": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "What is the weather in Paris?"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
        ]
    },
}


each_door = pytest.mark.parametrize("door", DOORS, ids=[door.name for door in DOORS])
each_streaming = pytest.mark.parametrize("streaming", STREAMING, ids=[door.name for door in STREAMING])


async def said(service: Running, door: Door, body: Mapping[str, Any], options: Options | None = None) -> Told:
    """An answer that is one."""
    told = await door.ask(service.address, body, options=options or Options())
    assert told.failure is None, told
    return told
