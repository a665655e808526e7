"""Who is asked for a verdict: a model, by the gateway itself, or a webhook."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson

from llm_service import __version__
from llm_service.domain import Direction, Reply, chat_request
from llm_service.filters import (
    FilterOptions,
    Passage,
    Unreadable,
    found_by_model,
    found_by_webhook,
    off_topic,
    verdict_request,
)
from llm_service.pipeline.base import Exchange
from llm_service.runtime import Clock, IdSource
from llm_service.transport import HttpRequest, Transport, ask_once

TAG: Final = "filter"
"""Tells in records for which filter a request was made."""
_HEADERS: Final[Mapping[str, str]] = {
    "user-agent": f"llm-service/{__version__}",
    "accept": "application/json",
    "accept-encoding": "identity",
    "content-type": "application/json",
}


class Judge(Protocol):
    """Finds something in texts, or not."""

    def __call__(self, exchange: Exchange, passages: Sequence[Passage], on: Direction) -> Awaitable[Sequence[str]]:
        """The labels of what it finds; empty: nothing. Whatever it raises, it cannot judge."""


class InnerGateway:
    """The gateway that is asked; it is built of the stages that ask it, so it is told later what ``chat`` is."""

    def __init__(self) -> None:
        self.chat: Callable[[Exchange], Awaitable[Reply]] | None = None


class ModelJudge:
    """Asks a model, by a request of its own: on the account of the caller, with a record, and kept by the cache."""

    def __init__(self, options: FilterOptions, gateway: InnerGateway, *, clock: Clock, ids: IdSource) -> None:
        self._options = options
        self._gateway = gateway
        self._clock = clock
        self._ids = ids

    async def __call__(self, exchange: Exchange, passages: Sequence[Passage], on: Direction) -> Sequence[str]:
        """The labels. Raises LLMServiceError, and Unreadable for an answer that is no verdict."""
        if self._gateway.chat is None:
            raise ValueError("there is no gateway yet")
        options = self._options
        body = verdict_request(options, passages, on)
        inner = exchange.asking(
            chat_request(body, len(_json(body))),
            id=self._ids.new("req"),
            at=self._clock.now(),
            received_at=self._clock.monotonic(),
            tags={TAG: options.called},
        )
        text = _content(await self._gateway.chat(inner))
        return off_topic(options, text) if options.type == "allowed_topics" else found_by_model(options, text)


def _content(reply: Reply) -> str:
    """What a whole answer says."""
    try:
        content = orjson.loads(reply.whole or b"")["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        content = None
    if not isinstance(content, str):
        raise Unreadable("the answer says nothing")
    return content


class WebhookJudge:
    """Asks a webhook: a POST without redirects, of whose answer 64 KiB are read."""

    def __init__(self, options: FilterOptions, transport: Transport) -> None:
        if options.url is None:
            raise ValueError("the filter has no address")
        self._options = options
        self._url = options.url
        self._headers = {**_HEADERS, **{name.lower(): value for name, value in options.headers.items()}}
        self._transport = transport

    async def __call__(self, exchange: Exchange, passages: Sequence[Passage], on: Direction) -> Sequence[str]:
        """The labels. Raises TransportError, and Unreadable for an answer that is no verdict."""
        options = self._options
        told = {
            "request_id": exchange.id,
            "filter": options.called,
            "direction": on,
            "model": exchange.request.model,
            "key_id": exchange.caller.key_id,
            "texts": [text for _, text in passages],
        }
        request = HttpRequest(
            method="POST",
            url=self._url,
            headers=self._headers,
            body=_json(told),
            connect_s=options.timeout_s,
        )
        answer = await ask_once(self._transport, request, within_s=options.timeout_s)
        if not 200 <= answer.status < 300:
            raise Unreadable(f"the webhook answered {answer.status}")
        return found_by_webhook(options, answer.body)


def _json(value: Any) -> bytes:
    """Halves of surrogate pairs, which JSON may have escaped, as U+FFFD: not every reader takes them."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_encodable(value))


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _encodable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_encodable(one) for one in value]
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
