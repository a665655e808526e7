"""OpenRouter: chat and legacy completions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from llm_service.sandbox.answer import Answer, Choice, Counts
from llm_service.sandbox.ask import Ask, BadField, read_chat
from llm_service.sandbox.dialects.base import Call, Dialect, ErrorCase, Refusal, bearer, tool_calls
from llm_service.sandbox.dialects.openrouter_errors import ERRORS
from llm_service.sandbox.dialects.openrouter_models import MODELS, Model, model_named
from llm_service.sandbox.dialects.money import Price, json_number
from llm_service.sandbox.messages import Headers, Json, Reply
from llm_service.sandbox.stream import Delta, Part, Placement, Usage


class OpenRouter(Dialect):
    """The mount `/openrouter/api/v1`."""

    name = "openrouter"
    errors: Mapping[str, ErrorCase] = ERRORS
    comment = b"OPENROUTER PROCESSING"

    def __init__(self) -> None:
        super().__init__()
        self.routes["POST", "/chat/completions"] = self.chat
        self.routes["GET", "/models"] = self.models

    def check_key(self, call: Call) -> None:
        if call.route.startswith(("/models", "/model/", "/providers")):
            return
        key = bearer(call.request.headers)
        if key is None:
            raise Refusal("401-no-credentials")
        if not key:
            raise Refusal("401-missing")
        if not key.startswith("sk-") or key.startswith("sk-bad"):
            raise Refusal("401")

    def bad_field(self, bad: BadField) -> Refusal:
        return Refusal("400", message=str(bad))

    def chat(self, call: Call) -> Reply:
        ask = read_chat(self.body(call))
        model = self._model(call, ask.model)
        answer = self.composed(call, ask, thinks=_thinks(ask, model))
        shape = _Shape(call, ask, answer, model)
        headers = self._headers(call, shape)
        return (
            self.stream(call, answer, shape, headers) if ask.stream else self.whole(call, shape.whole(answer), headers)
        )

    def models(self, call: Call) -> Reply:
        return self.whole(
            call, {"data": [model.listed() for model in MODELS], "total_count": len(MODELS), "links": {"next": None}}
        )

    def _headers(self, call: Call, shape: _Shape) -> Headers:
        return (("x-generation-id", shape.id), ("cf-ray", f"{call.dice('ray').hex(16)}-FRA"))

    def _model(self, call: Call, name: str) -> Model:
        call.entry.model = name
        call.behaviour = call.judge(call, name)
        model = model_named(name)
        if model is None:
            raise Refusal("400-model")
        return model


def _thinks(ask: Ask, model: Model) -> bool:
    reasoning = ask.body.get("reasoning")
    if isinstance(reasoning, dict):
        if reasoning.get("enabled") is False or reasoning.get("effort") == "none":
            return False
        return model.can_reason
    effort = ask.body.get("reasoning_effort")
    return model.can_reason and (model.reasons or (isinstance(effort, str) and effort != "none"))


class _Shape:
    """OpenRouter's chunks: role and content on every delta, the provider's name, usage on a repeated finish chunk."""

    placement = Placement.REPEATED_FINISH
    null_before = False

    def __init__(self, call: Call, ask: Ask, answer: Answer, model: Model) -> None:
        dice = call.dice("id")
        self.id = f"gen-{call.created}-{dice.word(20)}"
        call.entry.upstream_id = self.id
        self._entry = call.entry
        self._counts = answer.counts
        self._model = model
        reasoning = ask.body.get("reasoning")
        self._hidden = isinstance(reasoning, dict) and reasoning.get("exclude") is True
        self._call_ids = [f"call_{dice.hex(24 + place)}" for place in range(8)]
        self._base: Json = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": call.created,
            "model": ask.model,
            "provider": model.provider,
        }
        self._ends = False

    def openings(self, choice: Choice) -> Iterable[Json]:
        return []

    def delta(self, delta: Delta) -> Json | None:
        if delta.part is Part.REASONING:
            if self._hidden:
                return None
            detail = {"type": "reasoning.text", "text": delta.text, "format": self._model.reasoning_format, "index": 0}
            return {"role": "assistant", "content": "", "reasoning": delta.text, "reasoning_details": [detail]}
        if delta.part is Part.CONTENT:
            return {"role": "assistant", "content": delta.text}
        if delta.part is Part.CALL:
            function = {"name": delta.name, "arguments": delta.text}
            opener = {"index": delta.call, "id": self._call_ids[delta.call], "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [opener]}
        if delta.part is Part.ARGUMENTS:
            fragment = {"index": delta.call, "function": {"arguments": delta.text}}
            return {"role": "assistant", "content": None, "tool_calls": [fragment]}
        return None

    def finish_delta(self, choice: Choice) -> Json:
        return {"role": "assistant", "content": ""}

    def chunk(self, *, choice: int | None, delta: Json, finish: str | None, usage: Json | Usage) -> bytes:
        native = None if finish is None else self._model.native(finish)
        one = {"index": choice, "delta": delta, "finish_reason": finish, "native_finish_reason": native}
        chunk = {**self._base, "choices": [] if choice is None else [one]}
        if usage is not Usage.ABSENT:
            chunk["usage"] = None if usage is Usage.NULL else usage
        return orjson.dumps(chunk)

    def usage(self, output_tokens: int) -> Json | Usage:
        counts = self._counts
        return self._usage(Counts(counts.input, counts.cached, output_tokens, min(counts.reasoning, output_tokens)))

    def whole(self, answer: Answer) -> Json:
        return {
            **self._base,
            "object": "chat.completion",
            "system_fingerprint": None,
            "choices": [self._whole_choice(choice) for choice in answer.choices],
            "usage": self._usage(answer.counts),
        }

    def _whole_choice(self, choice: Choice) -> Json:
        thought = None if self._hidden else "".join(choice.reasoning) or None
        text = "".join(choice.content)
        message: Json = {"role": "assistant", "content": text, "refusal": None, "reasoning": thought}
        if thought:
            detail = {"type": "reasoning.text", "text": thought, "format": self._model.reasoning_format, "index": 0}
            message["reasoning_details"] = [detail]
        if choice.calls:
            message["tool_calls"] = tool_calls(choice.calls, self._call_ids[: len(choice.calls)], indexed=True)
        native = self._model.native(choice.finish)
        return {
            "index": choice.index,
            "logprobs": None,
            "finish_reason": choice.finish,
            "native_finish_reason": native,
            "message": message,
        }

    def _usage(self, counts: Counts) -> Json:
        price: Price = self._model.price
        prompt, completion = price.input_cost(counts), price.output_cost(counts)
        self._entry.cost_usd = prompt + completion
        return {
            "prompt_tokens": counts.input,
            "completion_tokens": counts.output,
            "total_tokens": counts.total,
            "cost": json_number(prompt + completion),
            "is_byok": False,
            "prompt_tokens_details": {
                "cached_tokens": counts.cached,
                "cache_write_tokens": 0,
                "audio_tokens": 0,
                "video_tokens": 0,
            },
            "cost_details": {
                "upstream_inference_cost": json_number(prompt + completion),
                "upstream_inference_prompt_cost": json_number(prompt),
                "upstream_inference_completions_cost": json_number(completion),
            },
            "completion_tokens_details": {"reasoning_tokens": counts.reasoning, "image_tokens": 0, "audio_tokens": 0},
        }
