"""DeepSeek's own API: chat, the beta features, models, balance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import ClassVar, Final

from llm_service.sandbox.answer import Answer, Choice, Counts, thinking
from llm_service.sandbox.ask import Ask, BadField, message_text, read_chat, read_completion
from llm_service.sandbox.dialects.base import Call, Dialect, bearer, is_ours
from llm_service.sandbox.dialects.deepseek_errors import ERRORS
from llm_service.sandbox.dialects.deepseek_models import ACCEPTED, FLASH, LISTED
from llm_service.sandbox.dialects.deepseek_rules import check
from llm_service.sandbox.dialects.errors import Refusal
from llm_service.sandbox.dialects.shape import ChunkShape
from llm_service.sandbox.dialects.text import TextMixin
from llm_service.sandbox.messages import Json, Reply
from llm_service.sandbox.stream import Placement

MAX_FIM_TOKENS: Final = 4096
_FINGERPRINT: Final = "fp_sandbox_deepseek"
_BROKE: Final = "sk-broke"


class DeepSeek(Dialect):
    """The mount `/deepseek`, with and without `/v1`, and `/beta`."""

    name = "deepseek"
    errors = ERRORS
    event_stream = "text/event-stream; charset=utf-8"
    bad_keys: ClassVar[Mapping[str, str]] = {"sk-bad": "401", "sk-gone": "401-no-user"}
    spent_keys: ClassVar[Mapping[str, str]] = {_BROKE: "402"}

    def __init__(self) -> None:
        super().__init__()
        for prefix in ("", "/v1", "/beta", "/beta/v1"):
            self.routes["POST", prefix + "/chat/completions"] = self.chat
            self.routes["GET", prefix + "/models"] = self.models
        for prefix in ("/beta", "/beta/v1"):
            self.routes["POST", prefix + "/completions"] = self.fim
        self.routes["GET", "/user/balance"] = self.balance

    def knows(self, model: str) -> bool:
        return model in ACCEPTED or is_ours(model)

    def check_key(self, call: Call) -> None:
        key = bearer(call.request.headers)
        if not key:
            raise Refusal("401-format")
        self.refuse_scripted_key(key, spends=call.request.method == "POST")

    def bad_field(self, bad: BadField) -> Refusal:
        return Refusal("400-json", detail=str(bad))

    def chat(self, call: Call) -> Reply:
        body = self.body(call)
        ask = replace(read_chat(body, caps=("max_tokens",)), n=1)
        self.meet(call, body, ask.model)
        model = ACCEPTED.get(ask.model, FLASH)
        call.entry.price = model.price(call.at)
        thinks, beta = thinking(call.behaviour, asked=_thinks(body)), call.route.startswith("/beta")
        check(ask, thinks=thinks, vision=model.vision, beta=beta)
        answer = self.composed(call, _continued(ask), thinks=thinks)
        return self.deliver(call, answer, _Shape(call, ask, answer, thinks=thinks))

    def fim(self, call: Call) -> Reply:
        body = self.body(call)
        ask = replace(read_completion(body), n=1)
        self.meet(call, body, ask.model)
        if ask.output_cap is not None and ask.output_cap > MAX_FIM_TOKENS:
            raise Refusal(
                "400", message=f"Invalid max_tokens value, the valid range of max_tokens is [1, {MAX_FIM_TOKENS}]"
            )
        call.entry.price = ACCEPTED.get(ask.model, FLASH).price(call.at)
        answer = self.composed(call, ask, thinks=False)
        return self.deliver(call, answer, _TextShape(call, ask, answer, thinks=False))

    def models(self, call: Call) -> Reply:
        listed = [{"id": model.id, "object": "model", "owned_by": "deepseek"} for model in LISTED]
        return self.whole(call, {"object": "list", "data": listed})

    def balance(self, call: Call) -> Reply:
        broke = (bearer(call.request.headers) or "").startswith(_BROKE)
        total, granted, paid = ("0.00", "0.00", "0.00") if broke else ("110.00", "10.00", "100.00")
        info = {"currency": "USD", "total_balance": total, "granted_balance": granted, "topped_up_balance": paid}
        return self.whole(call, {"is_available": not broke, "balance_infos": [info]})


class _Shape(ChunkShape):
    """DeepSeek's chunks: both text fields on every delta while thinking is on, usage on the finish chunk."""

    placement = Placement.ON_FINISH

    def __init__(self, call: Call, ask: Ask, answer: Answer, *, thinks: bool) -> None:
        dice = call.dice("id")
        call.entry.upstream_id = dice.uuid()
        base = {
            "id": call.entry.upstream_id,
            "object": "",
            "created": call.created,
            "model": ask.model,
            "system_fingerprint": _FINGERPRINT,
        }
        super().__init__(ask=ask, answer=answer, behaviour=call.behaviour, base=base)
        self._dice = dice
        self.null_before = ask.include_usage
        self._thinks = thinks

    def call_id(self, place: int) -> str:
        return f"call_{place:02}_{self._dice.fork(str(place)).word(24)}"

    def openings(self, choice: Choice) -> Iterable[Json]:
        return [{"role": "assistant", "content": None, "reasoning_content": ""} if self._thinks else
                {"role": "assistant", "content": ""}]  # fmt: skip

    def reasoning_delta(self, text: str) -> Json | None:
        return {"content": None, "reasoning_content": text}

    def content_delta(self, text: str) -> Json:
        return {"content": text, "reasoning_content": None} if self._thinks else {"content": text}

    def finish_delta(self, choice: Choice) -> Json:
        return self.content_delta("")

    def figures(self, counts: Counts) -> Json:
        usage: Json = {
            "prompt_tokens": counts.input,
            "completion_tokens": counts.output,
            "total_tokens": counts.total,
            "prompt_tokens_details": {"cached_tokens": counts.cached},
        }
        if self._thinks:
            usage["completion_tokens_details"] = {"reasoning_tokens": counts.reasoning}
        usage["prompt_cache_hit_tokens"] = counts.cached
        usage["prompt_cache_miss_tokens"] = counts.input - counts.cached
        return usage

    def message(self, choice: Choice) -> Json:
        message: Json = {"role": "assistant", "content": "".join(choice.content)}
        if self._thinks:
            message["reasoning_content"] = "".join(choice.reasoning)
        if choice.calls:
            message["tool_calls"] = self.tool_calls(choice.calls)
        return message


class _TextShape(TextMixin, _Shape):
    """FIM completions."""


def _thinks(body: Json) -> bool:
    """On unless switched off."""
    thinking = body.get("thinking")
    if thinking is None:
        return True
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("enabled", "disabled"):
        raise BadField("thinking", "unknown variant, expected `enabled` or `disabled`")
    return bool(kind == "enabled")


def _continued(ask: Ask) -> Ask:
    """With a prefix at the end, the model goes on from there."""
    last = ask.messages[-1]
    return replace(ask, prompts=(message_text(last),)) if last.get("prefix") else ask
