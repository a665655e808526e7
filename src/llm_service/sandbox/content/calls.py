"""Which tools a simulated model calls, and with which arguments."""

from __future__ import annotations

import re
from typing import Final

import orjson

from llm_service.domain import fact_in_order
from llm_service.sandbox.ask import Ask, Tool, message_text
from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.content.schema import value_for

MAX_CALLS: Final = 8

_NAME_CHARACTERS: Final = 1000
_WORD: Final = re.compile(r"[a-z]{3,}")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NAME: Final = re.compile(r"(?<=[a-z,;:] )[A-Z][a-z]{2,}(?:\s[A-Z][a-z]+)*")  # not at the beginning of a sentence
_TOO_COMMON: Final = frozenset(
    {"get", "set", "the", "and", "for", "with", "from", "all", "new", "list", "make", "find", "tool"}
)


@fact_in_order
class ToolCall:
    """A call; `arguments` is JSON text."""

    name: str
    arguments: str


def chosen_calls(ask: Ask, dice: Dice) -> tuple[ToolCall, ...]:
    """The calls that answer this request; empty when a text answers it."""
    if not ask.tools or ask.tool_choice == "none":
        return ()
    if ask.tool_choice not in ("auto", "required"):
        chosen = [tool for tool in ask.tools if tool.name == ask.tool_choice]
        return _calls(chosen[:1], ask, dice)
    wanted = [] if _answered(ask) else [tool for tool in ask.tools if _is_asked_for(tool, ask.prompt)]
    if not wanted and ask.tool_choice == "required":
        wanted = [dice.pick(ask.tools)]
    return _calls(wanted, ask, dice)


def forced_calls(ask: Ask, dice: Dice) -> tuple[ToolCall, ...]:
    """A call of the first tool, whatever the prompt says."""
    return _calls(list(ask.tools[:1]), ask, dice)


def _calls(tools: list[Tool], ask: Ask, dice: Dice) -> tuple[ToolCall, ...]:
    """One call for each tool, with the names in the prompt as arguments; a single tool is called once for each name."""
    parallel = ask.body.get("parallel_tool_calls") is not False
    names = _NAME.findall(ask.prompt[:_NAME_CHARACTERS])
    each_name = parallel and len(tools) == 1 and len(names) > 1 and bool(tools[0].schema.get("properties"))
    made: list[ToolCall] = []
    for tool in tools if parallel else tools[:1]:
        for words in [[name] for name in names] if each_name else [names]:
            arguments = value_for(tool.schema or {"type": "object"}, dice.fork(f"{tool.name}{len(made)}"), words)
            made.append(ToolCall(tool.name, orjson.dumps(arguments).decode()))
    return tuple(made[:MAX_CALLS])


def _answered(ask: Ask) -> bool:
    return ask.messages[-1].get("role") in ("tool", "function")


def _is_asked_for(tool: Tool, prompt: str) -> bool:
    """Whether a word of the prompt begins like a telling word of the tool's name."""
    words = tuple(set(_WORD.findall(_CAMEL.sub(" ", tool.name).lower())) - _TOO_COMMON)
    return any(said.startswith(words) for said in _WORD.findall(prompt.lower()))


def last_tool_result(ask: Ask) -> tuple[str, str] | None:
    """Name and text of the tool result that stands last, if one does."""
    if not _answered(ask):
        return None
    last = ask.messages[-1]
    return _name_of(ask, str(last.get("tool_call_id"))) or str(last.get("name") or "you called"), message_text(last)


def _name_of(ask: Ask, call_id: str) -> str | None:
    for message in reversed(ask.messages):
        for call in message.get("tool_calls") or ():
            if isinstance(call, dict) and call.get("id") == call_id and isinstance(call.get("function"), dict):
                return str(call["function"].get("name"))
    return None
