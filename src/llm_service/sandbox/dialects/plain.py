"""The plain dialect: what OpenAI's API and its many imitators have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

from llm_service.sandbox.answer import Answer, Choice, Counts
from llm_service.sandbox.ask import Ask, BadField, read_chat, read_completion
from llm_service.sandbox.dialects.base import Call, Dialect, bearer, is_ours
from llm_service.sandbox.dialects.embeddings import embeddings, read_embedding
from llm_service.sandbox.dialects.errors import Refusal
from llm_service.sandbox.dialects.plain_errors import ERRORS
from llm_service.sandbox.dialects.plain_rules import check
from llm_service.sandbox.dialects.shape import ChunkShape
from llm_service.sandbox.dialects.text import TextMixin
from llm_service.sandbox.messages import Headers, Json, Reply
from llm_service.sandbox.stream import Placement

CHAT_MODELS: Final = ("gpt-4o", "gpt-4o-mini", "gpt-4.1-mini", "gpt-5-mini", "gpt-3.5-turbo-instruct", "o4-mini")
EMBEDDING_MODELS: Final = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
DEFAULT_DIMENSIONS: Final = 256  # of the sandbox's own models
CREATED: Final = 1_721_260_800

_THINK_IN_SILENCE: Final = ("gpt-5", "o4", "o3", "o1")


class Plain(Dialect):
    """The mounts `/openai/v1` (with a key, as OpenAI) and `/local/v1` (without, as servers on the own machine)."""

    errors = ERRORS
    event_stream = "text/event-stream; charset=utf-8"
    spent_keys: ClassVar[Mapping[str, str]] = {"sk-broke": "429-quota"}

    def __init__(self, name: str, *, keyless: bool = False) -> None:
        super().__init__()
        self.name = name
        self._keyless = keyless
        self.routes["POST", "/chat/completions"] = self.chat
        self.routes["POST", "/completions"] = self.completion
        self.routes["POST", "/embeddings"] = self.embed
        self.routes["GET", "/models"] = self.models
        self.routes["GET", "/health"] = self.health

    def knows(self, model: str) -> bool:
        return model in CHAT_MODELS or model in EMBEDDING_MODELS or is_ours(model)

    def check_key(self, call: Call) -> None:
        if self._keyless or call.route == "/health":
            return
        key = bearer(call.request.headers)
        if not key:
            raise Refusal("401-missing")
        self.refuse_scripted_key(key, spends=call.request.method == "POST")

    def bad_field(self, bad: BadField) -> Refusal:
        return Refusal("400", message=f"Invalid value for '{bad.field}': {bad.expected}.", param=bad.field)

    def chat(self, call: Call) -> Reply:
        body = self.body(call)
        ask = read_chat(body)
        self.meet(call, body, ask.model)
        check(ask, behaviour=call.behaviour)
        answer = self.composed(call, ask, thinks=_thinks(ask))
        return self.deliver(call, answer, _ChatShape(call, ask, answer), self._headers(call))

    def completion(self, call: Call) -> Reply:
        body = self.body(call)
        ask = read_completion(body)
        self.meet(call, body, ask.model)
        answer = self.composed(call, ask, thinks=False)
        return self.deliver(call, answer, _TextShape(call, ask, answer), self._headers(call))

    def embed(self, call: Call) -> Reply:
        body = self.body(call)
        ask = read_embedding(body)
        self.meet(call, body, ask.model)
        made = embeddings(ask, seed=call.seed, dimensions=EMBEDDING_MODELS.get(ask.model, DEFAULT_DIMENSIONS))
        call.entry.input_tokens = ask.input_tokens
        usage = {"prompt_tokens": ask.input_tokens, "total_tokens": ask.input_tokens}
        answer = {"object": "list", "data": made, "model": ask.model, "usage": usage}
        return self.whole(call, answer, self._headers(call))

    def models(self, call: Call) -> Reply:
        names = (*CHAT_MODELS, *EMBEDDING_MODELS)
        listed = [{"id": name, "object": "model", "created": CREATED, "owned_by": "sandbox"} for name in names]
        return self.whole(call, {"object": "list", "data": listed})

    def health(self, call: Call) -> Reply:
        return self.whole(call, {"status": "ok"})

    def _headers(self, call: Call) -> Headers:
        return (("x-request-id", f"req_{call.dice('request').hex(32)}"), ("openai-processing-ms", "12"))


class _ChatShape(ChunkShape):
    """OpenAI's chat chunks: the role once, an empty last delta, usage on a chunk of its own when asked for."""

    id_prefix = "chatcmpl-"
    indexes_whole_calls = False

    def __init__(self, call: Call, ask: Ask, answer: Answer) -> None:
        dice = call.dice("id")
        call.entry.upstream_id = f"{self.id_prefix}{dice.word(29)}"
        base = {
            "id": call.entry.upstream_id,
            "object": "",
            "created": call.created,
            "model": ask.model,
            "service_tier": "default",
            "system_fingerprint": "fp_sandbox",
        }
        super().__init__(ask=ask, answer=answer, behaviour=call.behaviour, base=base)
        self._dice = dice
        self.placement = Placement.EMPTY_CHOICES if ask.include_usage else Placement.NOWHERE
        self.null_before = ask.include_usage
        self._silent = ask.model.startswith(_THINK_IN_SILENCE)
        self._thoughts = call.behaviour.word("reasoning-field") or "reasoning_content"

    def call_id(self, place: int) -> str:
        return f"call_{self._dice.fork(str(place)).word(24)}"

    def openings(self, choice: Choice) -> Iterable[Json]:
        return [{"role": "assistant", "content": None if choice.calls and not choice.content else "", "refusal": None}]

    def reasoning_delta(self, text: str) -> Json | None:
        if self._silent:
            return None
        return {"content": [_thinking(text)]} if self._thoughts == "mistral" else {self._thoughts: text}

    def figures(self, counts: Counts) -> Json:
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

    def message(self, choice: Choice) -> Json:
        text = "".join(choice.content)
        message: Json = {"role": "assistant", "content": text if text or not choice.calls else None, "refusal": None}
        if choice.reasoning and not self._silent:
            thought = "".join(choice.reasoning)
            if self._thoughts == "mistral":
                message["content"] = [_thinking(thought), {"type": "text", "text": text}]
            else:
                message[self._thoughts] = thought
        if choice.calls:
            message["tool_calls"] = self.tool_calls(choice.calls)
        else:
            message["annotations"] = []
        return message


class _TextShape(TextMixin, _ChatShape):
    """Legacy completions."""

    id_prefix = "cmpl-"


def _thinking(text: str) -> Json:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _thinks(ask: Ask) -> bool:
    effort = ask.body.get("reasoning_effort")
    if ask.model.startswith(_THINK_IN_SILENCE):
        return effort not in ("none", "minimal")
    return is_ours(ask.model) and isinstance(effort, str) and effort != "none"
