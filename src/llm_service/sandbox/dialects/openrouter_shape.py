"""OpenRouter's chunks and whole answers."""

from __future__ import annotations

import base64
from typing import Final

from llm_service.sandbox.answer import Answer, Choice, Counts
from llm_service.sandbox.ask import Ask
from llm_service.sandbox.dialects.base import Call
from llm_service.sandbox.dialects.openrouter_models import Model
from llm_service.sandbox.dialects.openrouter_routing import provider_name
from llm_service.sandbox.dialects.shape import ChunkShape
from llm_service.sandbox.dialects.text import TextMixin
from llm_service.sandbox.messages import Json
from llm_service.sandbox.money import json_number
from llm_service.sandbox.stream import Placement, Usage

_SIGNED: Final = "anthropic-claude-v1"
_ENCRYPTED: Final = "openai-responses-v1"


class OpenRouterShape(ChunkShape):
    """Role and content on every delta, the provider's name on every chunk, usage on a repeated finish chunk."""

    placement = Placement.REPEATED_FINISH
    shows_logprobs = False

    def __init__(self, call: Call, ask: Ask, answer: Answer, *, model: Model, provider: str) -> None:
        dice = call.dice("id")
        self.id = f"gen-{call.created}-{dice.word(20)}"
        call.entry.upstream_id = self.id
        base = {
            "id": self.id,
            "object": "",
            "created": call.created,
            "model": model.served_as or model.id,
            "provider": provider_name(provider),
        }
        super().__init__(ask=ask, answer=answer, behaviour=call.behaviour, base=base)
        self._dice = dice
        self._model = model
        self._price = model.price(call.at)
        self._hides_thoughts = _excluded(ask)
        self._metadata = _metadata(ask, model, provider) if _wants_metadata(call) else None

    def call_id(self, place: int) -> str:
        return f"call_{self._dice.fork(str(place)).hex(24)}"

    def reasoning_delta(self, text: str) -> Json | None:
        if self._hides_thoughts:
            return None
        return {"role": "assistant", "content": "", "reasoning": text, "reasoning_details": [self._detail(text)]}

    def thought_end_delta(self) -> Json | None:
        if self._hides_thoughts or self._model.reasoning_format not in (_SIGNED, _ENCRYPTED):
            return None
        return {"role": "assistant", "content": "", "reasoning": None, "reasoning_details": [self._seal()]}

    def content_delta(self, text: str) -> Json:
        return {"role": "assistant", "content": text}

    def tool_delta(self, fragment: Json) -> Json:
        return {"role": "assistant", "content": None, "tool_calls": [fragment]}

    def finish_delta(self, choice: Choice) -> Json:
        return {"role": "assistant", "content": ""}

    def finish_words(self, finish: str | None) -> Json:
        return {"finish_reason": finish, "native_finish_reason": None if finish is None else self._model.native(finish)}

    def with_usage(self, body: Json, usage: Json | Usage) -> Json:
        if usage is Usage.ABSENT:
            return body
        body["service_tier"] = "default"
        if self._metadata is not None:
            body["openrouter_metadata"] = self._metadata
        return super().with_usage(body, usage)

    def figures(self, counts: Counts) -> Json:
        prompt = self._price.prompt_usd(counts.input, counts.cached)
        completion = self._price.completion_usd(counts.output)
        cost = json_number(prompt + completion)
        return {
            "prompt_tokens": counts.input,
            "completion_tokens": counts.output,
            "total_tokens": counts.total,
            "cost": cost,
            "is_byok": False,
            "prompt_tokens_details": {
                "cached_tokens": counts.cached,
                "cache_write_tokens": 0,
                "audio_tokens": 0,
                "video_tokens": 0,
            },
            "cost_details": {
                "upstream_inference_cost": cost,
                "upstream_inference_prompt_cost": json_number(prompt),
                "upstream_inference_completions_cost": json_number(completion),
            },
            "completion_tokens_details": {"reasoning_tokens": counts.reasoning, "image_tokens": 0, "audio_tokens": 0},
        }

    def whole(self, answer: Answer) -> Json:
        return {**super().whole(answer), "system_fingerprint": None}

    def whole_choice(self, choice: Choice) -> Json:
        return {"logprobs": None, **super().whole_choice(choice)}

    def message(self, choice: Choice) -> Json:
        thought = "" if self._hides_thoughts else "".join(choice.reasoning)
        message: Json = {"role": "assistant", "content": "".join(choice.content), "refusal": None}
        message["reasoning"] = thought or None
        if thought:
            message["reasoning_details"] = self._details(thought)
        if choice.calls:
            message["tool_calls"] = self.tool_calls(choice.calls)
        return message

    def _details(self, thought: str) -> list[Json]:
        detail = self._detail(thought)
        if self._model.reasoning_format == _SIGNED:
            return [{**detail, "signature": self._proof()}]
        return [detail, self._seal()] if self._model.reasoning_format == _ENCRYPTED else [detail]

    def _detail(self, text: str) -> Json:
        kind, field = ("summary", "summary") if self._model.reasoning_format == _ENCRYPTED else ("text", "text")
        return {"type": f"reasoning.{kind}", field: text, "format": self._model.reasoning_format, "index": 0}

    def _proof(self) -> str:
        return base64.b64encode(self._dice.fork("proof").hex(48).encode()).decode()

    def _seal(self) -> Json:
        """What closes the thoughts: a signature, or their encrypted form."""
        if self._model.reasoning_format == _SIGNED:
            return {"type": "reasoning.text", "signature": self._proof(), "format": _SIGNED, "index": 0}
        sealed = {"type": "reasoning.encrypted", "data": self._proof(), "id": f"rs_{self.id[-20:]}"}
        return {**sealed, "format": _ENCRYPTED, "index": 1}


class OpenRouterTextShape(TextMixin, OpenRouterShape):
    """Legacy completions."""


def _excluded(ask: Ask) -> bool:
    reasoning = ask.body.get("reasoning")
    if isinstance(reasoning, dict) and reasoning.get("exclude") is True:
        return True
    return ask.body.get("include_reasoning") is False


def _wants_metadata(call: Call) -> bool:
    headers = call.request.headers
    names = ("x-openrouter-metadata", "x-openrouter-experimental-metadata")
    return any(headers.get(name, "").lower() == "enabled" for name in names)


def _metadata(ask: Ask, model: Model, provider: str) -> Json:
    available = [{"provider": slug, "selected": slug == provider} for slug in model.providers]
    return {
        "requested": ask.body.get("model"),
        "strategy": "price",
        "region": "global",
        "summary": f"{provider} served {model.id}",
        "attempt": 1,
        "is_byok": False,
        "endpoints": {"total": len(available), "available": available},
        "attempts": [{"provider": provider, "status": 200}],
    }
