"""DeepSeek's own API: chat, the beta features, models, balance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from llm_service.sandbox.answer import Answer, Choice, Counts
from llm_service.sandbox.ask import Ask, BadField, read_chat, read_completion
from llm_service.sandbox.dialects.base import Call, Dialect, ErrorCase, Refusal, bearer, tool_calls
from llm_service.sandbox.dialects.deepseek_errors import ERRORS
from llm_service.sandbox.messages import Json, Reply
from llm_service.sandbox.stream import Delta, Part, Placement, Usage

MODELS = ("deepseek-flash", "deepseek-v4-pro")
ALIASES = {
    "deepseek-v4-flash": "deepseek-flash",
    "deepseek-v4-flash-vision-exp": "deepseek-flash",
}
MAX_OUTPUT_TOKENS = 393_216


class DeepSeek(Dialect):
    """The mount `/deepseek`, with and without `/v1`, and `/beta`."""

    name = "deepseek"
    errors: Mapping[str, ErrorCase] = ERRORS
    stream_type = ("content-type", "text/event-stream; charset=utf-8")

    def __init__(self) -> None:
        super().__init__()
        for prefix in ("", "/v1", "/beta"):
            self.routes["POST", prefix + "/chat/completions"] = self.chat
            self.routes["GET", prefix + "/models"] = self.models
        self.routes["POST", "/beta/completions"] = self.fim
        self.routes["GET", "/user/balance"] = self.balance

    def check_key(self, call: Call) -> None:
        key = bearer(call.request.headers)
        if not key:
            raise Refusal("401-format")
        if not key.startswith("sk-") or key.startswith("sk-bad"):
            raise Refusal("401", tail=key[-4:])

    def bad_field(self, bad: BadField) -> Refusal:
        return Refusal("400", message=f"Failed to deserialize the JSON body into the target type: {bad}")

    def chat(self, call: Call) -> Reply:
        body = self.body(call)
        ask = read_chat(body)
        self._check_model(call, ask.model)
        if ask.output_cap is not None and ask.output_cap > MAX_OUTPUT_TOKENS:
            raise Refusal("422")
        if ask.response_format == "json_schema":
            raise Refusal("400", message="This response_format type is unavailable now")
        thinking = body.get("thinking")
        thinks = not (isinstance(thinking, dict) and thinking.get("type") == "disabled")
        answer = self.composed(call, ask, thinks=thinks)
        shape = _Shape(call, ask, answer, thinks=thinks)
        if ask.stream:
            return self.stream(call, answer, shape)
        return self.whole(call, shape.whole(answer))

    def fim(self, call: Call) -> Reply:
        ask = read_completion(self.body(call))
        self._check_model(call, ask.model)
        answer = self.composed(call, ask, thinks=False)
        shape = _Shape(call, ask, answer, thinks=False)
        return self.whole(call, shape.whole(answer))

    def models(self, call: Call) -> Reply:
        listed = [{"id": model, "object": "model", "owned_by": "deepseek"} for model in MODELS]
        return self.whole(call, {"object": "list", "data": listed})

    def balance(self, call: Call) -> Reply:
        info = {"currency": "USD", "total_balance": "110.00", "granted_balance": "10.00", "topped_up_balance": "100.00"}
        return self.whole(call, {"is_available": True, "balance_infos": [info]})

    def _check_model(self, call: Call, model: str) -> None:
        call.entry.model = model
        call.behaviour = call.judge(call, model)
        if model not in MODELS and model not in ALIASES and not model.startswith(("sandbox/", "sandbox-")):
            raise Refusal("400-model")


class _Shape:
    """DeepSeek's chunks: both text fields on every delta, usage on the finish chunk."""

    placement = Placement.ON_FINISH

    def __init__(self, call: Call, ask: Ask, answer: Answer, *, thinks: bool) -> None:
        dice = call.dice("id")
        self._thinks = thinks
        self._counts = answer.counts
        self._call_ids = [f"call_{place:02}_{dice.word(24)}" for place in range(8)]
        self._base: Json = {
            "id": dice.uuid(),
            "object": "chat.completion.chunk",
            "created": call.created,
            "model": ask.model,
            "system_fingerprint": "fp_sandbox",
        }
        self.null_before = ask.include_usage

    def openings(self, choice: Choice) -> Iterable[Json]:
        if self._thinks:
            return [{"role": "assistant", "content": None, "reasoning_content": ""}]
        return [{"role": "assistant", "content": ""}]

    def delta(self, delta: Delta) -> Json | None:
        if delta.part is Part.REASONING:
            return {"content": None, "reasoning_content": delta.text}
        if delta.part is Part.CONTENT:
            return {"content": delta.text, "reasoning_content": None} if self._thinks else {"content": delta.text}
        if delta.part is Part.CALL:
            function = {"name": delta.name, "arguments": delta.text}
            opener = {"index": delta.call, "id": self._call_ids[delta.call], "type": "function", "function": function}
            return {"tool_calls": [opener]}
        if delta.part is Part.ARGUMENTS:
            return {"tool_calls": [{"index": delta.call, "function": {"arguments": delta.text}}]}
        return None

    def finish_delta(self, choice: Choice) -> Json:
        return {"content": "", "reasoning_content": None} if self._thinks else {"content": ""}

    def chunk(self, *, choice: int | None, delta: Json, finish: str | None, usage: Json | Usage) -> bytes:
        choices = (
            [] if choice is None else [{"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish}]
        )
        chunk = {**self._base, "choices": choices}
        if usage is not Usage.ABSENT:
            chunk["usage"] = None if usage is Usage.NULL else usage
        return orjson.dumps(chunk)

    def usage(self, output_tokens: int) -> Json | Usage:
        counts = self._counts
        return _usage(
            Counts(counts.input, counts.cached, output_tokens, min(counts.reasoning, output_tokens)), self._thinks
        )

    def whole(self, answer: Answer) -> Json:
        choices = [
            {"index": choice.index, "message": self._message(choice), "logprobs": None, "finish_reason": choice.finish}
            for choice in answer.choices
        ]
        return {
            **self._base,
            "object": "chat.completion",
            "choices": choices,
            "usage": _usage(answer.counts, self._thinks),
        }

    def _message(self, choice: Choice) -> Json:
        message: Json = {"role": "assistant", "content": "".join(choice.content)}
        if self._thinks:
            message["reasoning_content"] = "".join(choice.reasoning)
        if choice.calls:
            message["tool_calls"] = tool_calls(choice.calls, self._call_ids[: len(choice.calls)], indexed=True)
        return message


def _usage(counts: Counts, thinks: bool) -> Json:
    usage: Json = {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.total,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
    }
    if thinks:
        usage["completion_tokens_details"] = {"reasoning_tokens": counts.reasoning}
    return {**usage, "prompt_cache_hit_tokens": counts.cached, "prompt_cache_miss_tokens": counts.input - counts.cached}
