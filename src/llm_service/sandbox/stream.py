"""An answer as a row of stream items: the order of chunks, which all dialects share, around their own shapes."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from llm_service.domain import fact_in_order
from llm_service.sandbox.answer import Answer, Choice
from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.messages import Json

DONE: Final = b"[DONE]"


class Part(enum.Enum):
    """What a delta carries."""

    REASONING = "reasoning"
    CONTENT = "content"
    CALL = "call"  # opens a tool call
    ARGUMENTS = "arguments"
    THOUGHT_END = "thought-end"


@fact_in_order
class Delta:
    """One increment of one choice; of a tool call it has the place, the name, and a piece of the arguments as text."""

    choice: int
    part: Part
    text: str = ""
    call: int = 0
    name: str = ""
    tokens: int = 1


class Mark(enum.Enum):
    """What an item of a stream is, for those who count or break it."""

    CONTENT = "content"
    OTHER = "other"
    FINISH = "finish"
    COMMENT = "comment"
    DONE = "done"


@fact_in_order
class Item:
    """One event of a stream without its framing. The data of a comment is its text; `event` is its name."""

    mark: Mark
    data: bytes
    tokens: int = 0
    event: str = ""


class Placement(enum.Enum):
    """Where a stream carries its usage."""

    REPEATED_FINISH = "usage-repeated-finish"
    AFTER_FINISH = "usage-after-finish"
    EMPTY_CHOICES = "usage-empty-choices"
    ON_FINISH = "usage-on-finish"
    NOWHERE = "usage-none"


class Usage(enum.Enum):
    """A usage that is not an object: the key is missing, or its value is null."""

    ABSENT = "absent"
    NULL = "null"


class Shape(Protocol):
    """One provider's way of writing chunks, for one answer."""

    placement: Placement
    null_before: bool  # "usage": null on the chunks before the figures

    def openings(self, choice: Choice) -> Iterable[Json]:
        """Deltas before anything was generated."""

    def delta(self, delta: Delta) -> Json | None:
        """The delta object of one increment; None sends nothing."""

    def finish_delta(self, choice: Choice) -> Json:
        """The delta beside a finish reason."""

    def chunk(
        self, *, choice: int | None, delta: Json, finish: str | None, usage: Json | Usage, text: str | None = None
    ) -> bytes:
        """A whole chunk; no choice means an empty list of choices, `text` is what logprobs are about."""

    def usage(self, output_tokens: int) -> Json | Usage:
        """The figures, as far as the answer has come."""


def items(answer: Answer, shape: Shape, behaviour: Behaviour) -> Iterator[Item]:
    """All events of an answer, [DONE] included."""
    before = Usage.NULL if shape.null_before else Usage.ABSENT
    running = behaviour.on("usage-every")
    for choice in answer.choices:
        for opening in shape.openings(choice):
            yield Item(Mark.OTHER, shape.chunk(choice=choice.index, delta=opening, finish=None, usage=before))
    sent = held = 0
    for delta in _interleaved([_deltas(choice, behaviour) for choice in answer.choices]):
        held += delta.tokens
        written = shape.delta(delta)
        if written is None:
            continue  # a hidden thought: its tokens count with what comes next
        sent += held
        text = delta.text if delta.part is Part.CONTENT else None
        usage = shape.usage(sent) if running else before
        data = shape.chunk(choice=delta.choice, delta=written, finish=None, usage=usage, text=text)
        yield Item(Mark.CONTENT, data, held)
        held = 0
    placement = _placement(shape, behaviour)
    yield from _endings(answer, shape, placement=placement, before=before, unsent=answer.counts.output - sent)
    yield Item(Mark.DONE, DONE)


def _placement(shape: Shape, behaviour: Behaviour) -> Placement:
    return next((placement for placement in Placement if behaviour.on(placement.value)), shape.placement)


def _endings(answer: Answer, shape: Shape, *, placement: Placement, before: Usage, unsent: int) -> Iterator[Item]:
    last = answer.choices[-1]
    usage = shape.usage(answer.counts.output)
    for choice in answer.choices:
        on_this = usage if placement is Placement.ON_FINISH and choice is last else before
        yield Item(Mark.FINISH, _finish(shape, choice, on_this), unsent if choice is last else 0)
    if placement is Placement.REPEATED_FINISH:
        yield Item(Mark.OTHER, _finish(shape, last, usage))
    elif placement is Placement.AFTER_FINISH:
        delta = shape.finish_delta(last)
        yield Item(Mark.OTHER, shape.chunk(choice=last.index, delta=delta, finish=None, usage=usage))
    elif placement is Placement.EMPTY_CHOICES:
        yield Item(Mark.OTHER, shape.chunk(choice=None, delta={}, finish=None, usage=usage))


def _finish(shape: Shape, choice: Choice, usage: Json | Usage) -> bytes:
    return shape.chunk(choice=choice.index, delta=shape.finish_delta(choice), finish=choice.finish, usage=usage)


def _deltas(choice: Choice, behaviour: Behaviour) -> Iterator[Delta]:
    for text in choice.reasoning:
        yield Delta(choice.index, Part.REASONING, text)
    if choice.reasoning:
        yield Delta(choice.index, Part.THOUGHT_END, tokens=0)
    for text in choice.content:
        yield Delta(choice.index, Part.CONTENT, text)
    yield from _call_deltas(choice, behaviour)


def _call_deltas(choice: Choice, behaviour: Behaviour) -> Iterator[Delta]:
    rows: list[Iterator[Delta]] = []
    for place, call in enumerate(choice.calls):
        if behaviour.on("tools-whole"):
            arguments = "".join(call.arguments)
            rows.append(iter([Delta(choice.index, Part.CALL, arguments, place, call.name, call.tokens)]))
            continue
        row = [Delta(choice.index, Part.CALL, "", place, call.name)]
        row += [Delta(choice.index, Part.ARGUMENTS, text, place, call.name) for text in call.arguments]
        rows.append(iter(row))
    if behaviour.on("tools-interleaved"):
        yield from _interleaved(rows)
    else:
        for deltas in rows:
            yield from deltas


def _interleaved(rows: list[Iterator[Delta]]) -> Iterator[Delta]:
    while len(rows) > 1:
        for row in tuple(rows):
            delta = next(row, None)
            if delta is None:
                rows.remove(row)
            else:
                yield delta
    for row in rows:
        yield from row
