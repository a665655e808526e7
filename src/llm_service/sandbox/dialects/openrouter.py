"""OpenRouter's API: generations, embeddings, catalogue, records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, Final

from llm_service.sandbox.ask import Ask, BadField, read_chat, read_completion
from llm_service.sandbox.dialects.base import Call, Dialect, Handler, bearer
from llm_service.sandbox.dialects.embeddings import embeddings, read_embedding
from llm_service.sandbox.dialects.errors import Refusal
from llm_service.sandbox.dialects.openrouter_account import (
    Generations,
    endpoint_records,
    key_record,
    provider_records,
)
from llm_service.sandbox.dialects.openrouter_errors import ERRORS
from llm_service.sandbox.dialects.openrouter_models import AUTO, EMBEDDING_MODELS, MODELS, Model
from llm_service.sandbox.dialects.openrouter_routing import (
    candidates,
    check_context,
    model_named,
    provider_name,
    serving_provider,
)
from llm_service.sandbox.dialects.openrouter_shape import OpenRouterShape, OpenRouterTextShape
from llm_service.sandbox.messages import Headers, Json, Reply
from llm_service.sandbox.money import json_number
from llm_service.sandbox.stream import Item, Mark

AFFORDABLE_TOKENS: Final = 3395
EMBEDDING_DIMENSIONS: Final = 1536

_OPEN_TO_ALL: Final = ("/models", "/model/", "/providers", "/endpoints")
_COMMENT_ODDS: Final = 16  # one chunk of so many has a comment before it


class OpenRouter(Dialect):
    """The mount `/openrouter/api/v1`."""

    name = "openrouter"
    errors = ERRORS
    comment = b"OPENROUTER PROCESSING"
    errors_in_chunks = True
    spent_keys: ClassVar[Mapping[str, str]] = {"sk-broke": "402", "sk-capped": "403-key-limit"}

    def __init__(self) -> None:
        super().__init__()
        self._generations = Generations()
        self.routes |= {
            ("POST", "/chat/completions"): partial(self.generate, read=read_chat, shape=OpenRouterShape),
            ("POST", "/completions"): partial(self.generate, read=read_completion, shape=OpenRouterTextShape),
            ("POST", "/embeddings"): self.embed,
            ("GET", "/models"): self.models,
            ("GET", "/models/user"): self.models,
            ("GET", "/models/count"): lambda call: self.whole(call, {"data": {"count": len(MODELS)}}),
            ("GET", "/embeddings/models"): partial(self.models, listed=EMBEDDING_MODELS),
            ("GET", "/providers"): lambda call: self.whole(call, {"data": provider_records()}),
            ("GET", "/key"): lambda call: self.whole(call, {"data": key_record(_key(call))}),
            ("GET", "/credits"): self.credits,
            ("GET", "/generation"): self.generation,
        }

    def found(self, call: Call) -> Handler | None:
        parts = call.route.strip("/").split("/")
        if call.request.method != "GET":
            return None
        if len(parts) == 4 and parts[0] == "models" and parts[3] == "endpoints":
            return partial(self.endpoints, name="/".join(parts[1:3]))
        return partial(self.model, name="/".join(parts[1:3])) if len(parts) == 3 and parts[0] == "model" else None

    def knows(self, model: str) -> bool:
        return model_named(model) is not None

    def check_key(self, call: Call) -> None:
        if call.route.startswith(_OPEN_TO_ALL) and call.request.method == "GET":
            return
        key = bearer(call.request.headers)
        if key is None:
            raise Refusal("401-no-credentials")
        if not key:
            raise Refusal("401-missing")
        self.refuse_scripted_key(key, spends=call.request.method == "POST")

    def bad_field(self, bad: BadField) -> Refusal:
        return Refusal("400", message=str(bad))

    def generate(self, call: Call, *, read: Any, shape: type[OpenRouterShape]) -> Reply:
        body = self.body(call)
        names = candidates(body)
        ask: Ask = read({**body, "model": names[0]})
        model, provider = self._route(call, body, names)
        self._check_funds(call, ask, model)
        check_context(ask, model)
        call.entry.price = model.price(call.at)
        answer = self.composed(call, ask, thinks=_thinks(ask, model))
        written = shape(call, ask, answer, model=model, provider=provider)
        visible_at = call.at + (call.behaviour.seconds("generation-after") or 0)
        self._generations.keep(call.entry, model=model, provider=provider, visible_at=visible_at)
        return self.deliver(call, answer, written, self._headers(call, provider))

    def embed(self, call: Call) -> Reply:
        body = self.body(call)
        ask = read_embedding(body)
        self.meet(call, body, ask.model)
        model = self._known(call, ask.model)
        made = embeddings(ask, seed=call.seed, dimensions=EMBEDDING_DIMENSIONS)
        call.entry.input_tokens = ask.input_tokens
        call.entry.upstream_id = f"gen-emb-{call.created}-{call.dice('id').word(20)}"
        cost = json_number(model.price(call.at).prompt_usd(ask.input_tokens, 0))
        usage = {"prompt_tokens": ask.input_tokens, "total_tokens": ask.input_tokens, "cost": cost}
        answer = {"object": "list", "data": made, "model": model.id, "provider": provider_name(model.providers[0])}
        return self.whole(call, {**answer, "usage": usage, "id": call.entry.upstream_id})

    def models(self, call: Call, listed: tuple[Model, ...] = (*MODELS, AUTO)) -> Reply:
        query = call.request.query
        wanted = [name for name in query.get("supported_parameters", "").split(",") if name]
        found = [
            model
            for model in listed
            if query.get("q", "").lower() in f"{model.id} {model.name}".lower()
            and all(name in model.parameters.split() for name in wanted)
        ]
        offset, limit = _number(query, "offset", 0), _number(query, "limit", len(found))
        page = found[offset : offset + limit]
        more = f"/api/v1/models?offset={offset + limit}&limit={limit}" if offset + limit < len(found) else None
        data = [model.listed() for model in page]
        return self.whole(call, {"data": data, "total_count": len(found), "links": {"next": more}})

    def model(self, call: Call, *, name: str) -> Reply:
        return self.whole(call, {"data": self._known(call, name).listed()})

    def endpoints(self, call: Call, *, name: str) -> Reply:
        return self.whole(call, {"data": endpoint_records(self._known(call, name))})

    def credits(self, call: Call) -> Reply:
        if not _key(call).startswith("sk-or-mgmt"):
            raise Refusal("403-management")
        return self.whole(call, {"data": {"total_credits": 100.5, "total_usage": 25.75}})

    def generation(self, call: Call) -> Reply:
        generation_id = call.request.query.get("id", "")
        record = self._generations.record(generation_id, call.at)
        if record is None:
            raise Refusal("404-generation", id=generation_id)
        return self.whole(call, {"data": record})

    def dressed(self, call: Call, events: Iterator[Item]) -> Iterator[Item]:
        """Comments come before the first chunk and between chunks, at irregular times."""
        dice = call.dice("comments")
        comment = Item(Mark.COMMENT, self.comment)
        for _ in range(dice.below(4)):
            yield comment
        for item in events:
            if item.mark is Mark.CONTENT and dice.below(_COMMENT_ODDS) == 0:
                yield comment
            yield item

    def _route(self, call: Call, body: Json, names: list[str]) -> tuple[Model, str]:
        """The first candidate that can serve; a fallback is tried on any error."""
        refused: Refusal | None = None
        for name in names:
            try:
                self.meet(call, body, name)
                model = self._known(call, name)
                return model, serving_provider(model, body)
            except Refusal as refusal:
                refused = refused or refusal
        raise refused or Refusal("404")

    def _known(self, call: Call, name: str) -> Model:
        call.entry.model = name
        model = model_named(name)
        if model is None:
            raise Refusal("404")
        return model

    def _check_funds(self, call: Call, ask: Ask, model: Model) -> None:
        output = ask.output_cap or model.max_output or 0
        if _key(call).startswith("sk-poor") and output > AFFORDABLE_TOKENS:
            raise Refusal("402-max-tokens", output=output)

    def _headers(self, call: Call, provider: str) -> Headers:
        return (
            ("x-generation-id", call.entry.upstream_id),
            ("x-provider-name", provider_name(provider)),
            ("cf-ray", f"{call.dice('ray').hex(16)}-FRA"),
        )


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    if not value.isdecimal():
        raise BadField(name, "must be a whole number")
    return int(value)


def _key(call: Call) -> str:
    return bearer(call.request.headers) or ""


def _thinks(ask: Ask, model: Model) -> bool:
    if not model.can_reason:
        return False
    reasoning = ask.body.get("reasoning")
    if isinstance(reasoning, dict):
        return reasoning.get("enabled") is not False and reasoning.get("effort") != "none"
    effort = ask.body.get("reasoning_effort")
    return effort != "none" and (model.reasons or isinstance(effort, str) or ask.body.get("include_reasoning") is True)
