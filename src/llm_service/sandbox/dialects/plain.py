"""The plain dialect: what OpenAI's API and its many imitators have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from llm_service.sandbox.answer import Answer, Choice, Counts
from llm_service.sandbox.ask import Ask, BadField, read_chat, read_completion
from llm_service.sandbox.dialects.base import Call, Dialect, ErrorCase, Refusal, bearer, tool_calls
from llm_service.sandbox.dialects.plain_errors import ERRORS
from llm_service.sandbox.messages import Headers, Json, Reply
from llm_service.sandbox.stream import Delta, Part, Placement, Usage

MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-5-mini", "o4-mini")
CREATED = 1_721_260_800


class Plain(Dialect):
    """The mounts `/openai/v1` (with a key, as OpenAI) and `/local/v1` (without, as servers on the own machine)."""

    errors: Mapping[str, ErrorCase] = ERRORS

    def __init__(self, name: str, *, keyless: bool = False) -> None:
        super().__init__()
        self.name = name
        self._keyless = keyless
        self.routes["POST", "/chat/completions"] = self.chat
        self.routes["POST", "/completions"] = self.completion
        self.routes["GET", "/models"] = self.models
        self.routes["GET", "/health"] = self.health

    def check_key(self, call: Call) -> None:
        if self._keyless or call.route == "/health":
            return
        key = bearer(call.request.headers)
        if not key:
            raise Refusal("401-missing")
        if not key.startswith("sk-") or key.startswith("sk-bad"):
            raise Refusal("401", hint=f"{key[:7]}***{key[-4:]}")

    def bad_field(self, bad: BadField) -> Refusal:
        return Refusal("400", message=f"Invalid value for '{bad.field}': {bad.expected}.", param=bad.field)

    def chat(self, call: Call) -> Reply:
        ask = read_chat(self.body(call))
        self._check_model(call, ask.model)
        answer = self.composed(call, ask, thinks=False)
        shape = _ChatShape(call, ask, answer)
        headers = self._headers(call)
        return (
            self.stream(call, answer, shape, headers) if ask.stream else self.whole(call, shape.whole(answer), headers)
        )

    def completion(self, call: Call) -> Reply:
        ask = read_completion(self.body(call))
        self._check_model(call, ask.model)
        answer = self.composed(call, ask, thinks=False)
        shape = _TextShape(call, ask, answer)
        headers = self._headers(call)
        return (
            self.stream(call, answer, shape, headers) if ask.stream else self.whole(call, shape.whole(answer), headers)
        )

    def models(self, call: Call) -> Reply:
        listed = [{"id": model, "object": "model", "created": CREATED, "owned_by": "sandbox"} for model in MODELS]
        return self.whole(call, {"object": "list", "data": listed})

    def health(self, call: Call) -> Reply:
        return self.whole(call, {"status": "ok"})

    def _headers(self, call: Call) -> Headers:
        return (("x-request-id", f"req_{call.dice('request').hex(32)}"),)

    def _check_model(self, call: Call, model: str) -> None:
        call.entry.model = model
        call.behaviour = call.judge(call, model)
        if model not in MODELS and not model.startswith(("sandbox/", "sandbox-")):
            raise Refusal("404")


class _ChatShape:
    """OpenAI's chat chunks: the role once, an empty last delta, usage on a chunk of its own when asked for."""

    object = "chat.completion"
    id_prefix = "chatcmpl-"

    def __init__(self, call: Call, ask: Ask, answer: Answer) -> None:
        dice = call.dice("id")
        self._counts = answer.counts
        self._call_ids = [f"call_{dice.word(24)}" for _ in range(8)]
        self.placement = Placement.EMPTY_CHOICES if ask.include_usage else Placement.NOWHERE
        self.null_before = ask.include_usage
        self._base: Json = {
            "id": f"{self.id_prefix}{dice.word(29)}",
            "object": self.object,
            "created": call.created,
            "model": ask.model,
            "service_tier": "default",
            "system_fingerprint": "fp_sandbox",
        }
        self._chunk_base = {**self._base, "object": self.chunk_object}

    @property
    def chunk_object(self) -> str:
        return "chat.completion.chunk"

    def openings(self, choice: Choice) -> Iterable[Json]:
        return [{"role": "assistant", "content": None if choice.calls and not choice.content else "", "refusal": None}]

    def delta(self, delta: Delta) -> Json | None:
        if delta.part is Part.REASONING:
            return {"reasoning_content": delta.text}
        if delta.part is Part.CONTENT:
            return {"content": delta.text}
        if delta.part is Part.CALL:
            function = {"name": delta.name, "arguments": delta.text}
            opener = {"index": delta.call, "id": self._call_ids[delta.call], "type": "function", "function": function}
            return {"tool_calls": [opener]}
        if delta.part is Part.ARGUMENTS:
            return {"tool_calls": [{"index": delta.call, "function": {"arguments": delta.text}}]}
        return None

    def finish_delta(self, choice: Choice) -> Json:
        return {}

    def chunk(self, *, choice: int | None, delta: Json, finish: str | None, usage: Json | Usage) -> bytes:
        choices = [] if choice is None else [self._choice(choice, delta, finish)]
        chunk = {**self._chunk_base, "choices": choices}
        if usage is not Usage.ABSENT:
            chunk["usage"] = None if usage is Usage.NULL else usage
        return orjson.dumps(chunk)

    def _choice(self, index: int, delta: Json, finish: str | None) -> Json:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}

    def usage(self, output_tokens: int) -> Json | Usage:
        counts = self._counts
        return _usage(Counts(counts.input, counts.cached, output_tokens, min(counts.reasoning, output_tokens)))

    def whole(self, answer: Answer) -> Json:
        return {
            **self._base,
            "choices": [self._whole_choice(choice) for choice in answer.choices],
            "usage": _usage(answer.counts),
        }

    def _whole_choice(self, choice: Choice) -> Json:
        text = "".join(choice.content)
        message: Json = {"role": "assistant", "content": text if text or not choice.calls else None, "refusal": None}
        if choice.reasoning:
            message["reasoning_content"] = "".join(choice.reasoning)
        if choice.calls:
            message["tool_calls"] = tool_calls(choice.calls, self._call_ids[: len(choice.calls)], indexed=False)
        else:
            message["annotations"] = []
        return {"index": choice.index, "message": message, "logprobs": None, "finish_reason": choice.finish}


class _TextShape(_ChatShape):
    """Legacy completions: one object name for chunks and wholes, `text` instead of deltas."""

    object = "text_completion"
    id_prefix = "cmpl-"

    @property
    def chunk_object(self) -> str:
        return self.object

    def openings(self, choice: Choice) -> Iterable[Json]:
        return []

    def _choice(self, index: int, delta: Json, finish: str | None) -> Json:
        return {"index": index, "text": delta.get("content") or "", "logprobs": None, "finish_reason": finish}

    def _whole_choice(self, choice: Choice) -> Json:
        text = "".join(choice.content)
        return {"index": choice.index, "text": text, "logprobs": None, "finish_reason": choice.finish}


def _usage(counts: Counts) -> Json:
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.total,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
