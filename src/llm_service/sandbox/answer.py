"""The answer to a request before any wire shape: thoughts, text, tool calls, finish reason, token counts."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Final

import orjson

from llm_service.domain import fact_in_order
from llm_service.sandbox.ask import Ask
from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.content.calls import ToolCall, chosen_calls, forced_calls, last_tool_result
from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.content.pieces import pieces
from llm_service.sandbox.content.schema import value_for
from llm_service.sandbox.content.text import answer_text, filler, filling, thought_text, tool_result_text
from llm_service.sandbox.content.unicode import SEPARATORS, UNICODE

_THINKING: Final = ("thinking", "reasoning-only", "reasoning-field")

CACHE_UNIT_TOKENS: Final = 128
DEFAULT_OUTPUT_CAP: Final = 100_000
BULK_PIECE_BYTES: Final = 16 * 1024


@fact_in_order
class CallPieces:
    """A tool call whose arguments are cut into output tokens; the opener counts as one more."""

    name: str
    arguments: tuple[str, ...]

    @property
    def tokens(self) -> int:
        return len(self.arguments) + 1


@fact_in_order
class Choice:
    """One alternative, as pieces of one token each."""

    index: int
    reasoning: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    calls: tuple[CallPieces, ...] = ()
    finish: str = "stop"

    @property
    def tokens(self) -> int:
        return len(self.reasoning) + len(self.content) + sum(call.tokens for call in self.calls)


@fact_in_order
class Counts:
    """Token counts; cached is a part of input, reasoning a part of output."""

    input: int
    cached: int
    output: int
    reasoning: int

    @property
    def total(self) -> int:
        return self.input + self.output


@fact_in_order
class Answer:
    """All choices and what they count."""

    choices: tuple[Choice, ...]
    counts: Counts


def compose(ask: Ask, *, seed: int, thinks: bool, behaviour: Behaviour) -> Answer:
    """The answer to a request: the same for the same seed, request and behaviour."""
    key = b"%d/" % seed + ask.digest
    thinks = thinking(behaviour, asked=thinks)
    choices = tuple(
        _choice(ask, index=index, prompt=prompt, dice=Dice(key + b"/%d" % index), thinks=thinks, behaviour=behaviour)
        for index, prompt in enumerate(prompt for prompt in ask.prompts for _ in range(ask.n))
    )
    total = ask.input_tokens
    forced = behaviour.count("cached")
    cached = _cached_tokens(ask) if forced is None else min(forced, total)
    output = sum(choice.tokens for choice in choices)
    return Answer(choices, Counts(total, cached, output, sum(len(choice.reasoning) for choice in choices)))


def thinking(behaviour: Behaviour, *, asked: bool) -> bool:
    """Whether the model thinks: as the request asks, unless the behaviour says otherwise."""
    return (asked or any(behaviour.on(form) for form in _THINKING)) and not behaviour.on("no-thinking")


def _choice(ask: Ask, *, index: int, prompt: str, dice: Dice, thinks: bool, behaviour: Behaviour) -> Choice:
    calls = tuple(_call_pieces(call, behaviour) for call in _calls(ask, dice.fork("calls"), behaviour))
    reasoning = tuple(pieces(thought_text(prompt, dice.fork("thought")))) if thinks else ()
    content = () if calls else _content(ask, prompt, dice.fork("text"), behaviour)
    if behaviour.word("reasoning-field") == "think-tags" and reasoning:
        content, reasoning = ("<think>", *reasoning, "</think>", *content), ()
    made = _capped(Choice(index, reasoning, content, calls), _output_cap(ask, behaviour))
    return replace(made, finish=_finish(made, behaviour))


def _finish(choice: Choice, behaviour: Behaviour) -> str:
    if (forced := behaviour.word("finish")) is not None:
        return forced
    if behaviour.on("tools-missing"):
        return "tool_calls"
    if choice.finish == "length" or behaviour.on("tools-finish-stop"):
        return choice.finish
    return "tool_calls" if choice.calls else "stop"


def _output_cap(ask: Ask, behaviour: Behaviour) -> int:
    """What the request allows; a size that the behaviour names is kept to, whatever was asked for."""
    if behaviour.on("tokens") or behaviour.on("bulk"):
        return sys.maxsize
    return ask.output_cap or DEFAULT_OUTPUT_CAP


def _content(ask: Ask, prompt: str, dice: Dice, behaviour: Behaviour) -> tuple[str, ...]:
    if behaviour.on("reasoning-only") or behaviour.on("no-content"):
        return ()
    if (tokens := behaviour.count("tokens")) is not None:
        return tuple(filler(prompt, dice, tokens=tokens))
    if (size := behaviour.count("bulk")) is not None:
        return (filling(BULK_PIECE_BYTES),) * max(1, size // BULK_PIECE_BYTES)
    content = tuple(pieces(_stopped(_text(ask, prompt, dice, behaviour), ask.stop)))
    if (size := behaviour.count("long-event")) is not None:
        return (filling(size), *content)
    return content


def _call_pieces(call: ToolCall, behaviour: Behaviour) -> CallPieces:
    if behaviour.on("tools-empty-arguments"):
        return CallPieces(call.name, ())
    arguments = tuple(pieces(call.arguments))
    return CallPieces(call.name, (*arguments[:-1], ", oops") if behaviour.on("tools-bad-arguments") else arguments)


def _calls(ask: Ask, dice: Dice, behaviour: Behaviour) -> tuple[ToolCall, ...]:
    if behaviour.on("tool-call"):
        return forced_calls(ask, dice)
    return () if behaviour.on("tools-missing") else chosen_calls(ask, dice)


def _text(ask: Ask, prompt: str, dice: Dice, behaviour: Behaviour) -> str:
    if ask.response_format == "json_schema" and ask.schema is not None:
        return orjson.dumps(value_for(ask.schema, dice)).decode()
    if ask.response_format == "json_object":
        return orjson.dumps({"answer": answer_text(prompt, dice), "sandbox": True}).decode()
    if (result := last_tool_result(ask)) is not None:
        return tool_result_text(*result)
    extra = (UNICODE if behaviour.on("unicode") else "") + (SEPARATORS if behaviour.on("separators") else "")
    return extra + answer_text(prompt, dice)


def _stopped(text: str, stop: tuple[str, ...]) -> str:
    """The text before the first stop sequence."""
    return text[: min((at for word in stop if (at := text.find(word)) >= 0), default=len(text))]


def _capped(choice: Choice, cap: int) -> Choice:
    """The first `cap` tokens, in the order in which they are sent."""
    if choice.tokens <= cap:
        return choice
    reasoning = choice.reasoning[:cap]
    content = choice.content[: cap - len(reasoning)]
    left = cap - len(reasoning) - len(content)
    calls: list[CallPieces] = []
    for call in choice.calls:
        if left <= 0:
            break
        calls.append(CallPieces(call.name, call.arguments[: left - 1]))
        left -= calls[-1].tokens
    return replace(choice, reasoning=reasoning, content=content, calls=tuple(calls), finish="length")


def _cached_tokens(ask: Ask) -> int:
    """Later turns of a conversation hit the prompt cache: all before the last assistant message, in whole units."""
    answered = [at for at, message in enumerate(ask.messages) if message.get("role") == "assistant"]
    if not answered:
        return 0
    before = replace(ask, messages=ask.messages[: answered[-1]]).input_tokens
    return before // CACHE_UNIT_TOKENS * CACHE_UNIT_TOKENS
