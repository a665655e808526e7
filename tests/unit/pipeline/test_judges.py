"""Who is asked for a verdict, and as whom the service asks."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import pytest

from llm_service.domain import ApiKey, CacheControl, Caller, Outcome, Reply
from llm_service.filters import FilterOptions, Passage, Unreadable
from llm_service.pipeline import Exchange, InnerGateway, ModelJudge, WebhookJudge
from llm_service.streams import ReadyReply
from llm_service.transport import Flow, HttpHead, HttpRequest, Receiver, TransportError
from tests.support.clock import ManualClock
from tests.support.generations import HEAD
from tests.unit.pipeline.test_screen import exchange

JUDGE = FilterOptions(type="moderation", name="judge", model="judge/m")
HOOK = FilterOptions(type="moderation", name="hook", url="http://hook/x", headers={"X-Token": "t"}, timeout_s=0.05)
ASKED = [Passage("user", "half \ud800")]


class Ids:
    def new(self, prefix: str) -> str:
        return f"{prefix}_inner"


def saying(content: object) -> tuple[ModelJudge, list[Exchange]]:
    gateway, seen = InnerGateway(), []

    async def chat(inner: Exchange) -> Reply:
        seen.append(inner)
        whole = orjson.dumps({"choices": [{"message": {"content": content}}]})
        return ReadyReply(HEAD, Outcome(status="ok"), whole=whole)

    gateway.chat = chat
    return ModelJudge(JUDGE, gateway, clock=ManualClock(), ids=cast(Any, Ids())), seen


def asking() -> Exchange:
    one = exchange()
    key = ApiKey(
        id="key_a", name="a", scopes=frozenset(), created_at=datetime.now(UTC), models=("p/*",), semantic_cache=True
    )
    one.caller = Caller(key_id="key_a", scopes=frozenset(), key=key)
    one.user, one.tags, one.control = "jo", {"team": "x", "filter": "mine"}, CacheControl(no_store=True, no_cache=True)
    return one


async def test_a_model_is_asked_on_the_account_of_the_caller_and_by_none_of_its_choices() -> None:
    judge, seen = saying('{"flagged": true, "categories": {"hate": 1}}')
    outer = asking()
    assert await judge(outer, ASKED, "input") == ["hate"]
    (inner,) = seen
    assert (inner.surface, inner.is_inner, outer.is_inner) == ("filter", True, False)
    assert (inner.id, inner.user, inner.tags) == ("req_inner", "jo", {"team": "x", "filter": "judge"})
    key, own = inner.caller.key, outer.caller.key
    assert key is not None
    assert own is not None
    assert key == replace(own, models=None, semantic_cache=False)
    assert inner.control == CacheControl(no_store=True)  # what must not be kept is not kept by another way
    assert (inner.request.model, inner.request.stream, inner.deadline) == ("judge/m", False, None)
    assert inner.request.body_bytes > 500


@pytest.mark.parametrize("content", [None, "", "I cannot say.", [], {"a": 1}])
async def test_an_answer_without_a_verdict_is_unreadable(content: object) -> None:
    judge, _ = saying(content)
    with pytest.raises(Unreadable):
        await judge(asking(), ASKED, "output")


class Wire:
    """A transport that answers what it is told to, or nothing."""

    def __init__(self, status: int, *pieces: bytes, error: TransportError | None = None) -> None:
        self.status, self.pieces, self.error = status, pieces, error
        self.sent: list[HttpRequest] = []
        self.aborted = False

    def send(self, request: HttpRequest, receiver: Receiver) -> Flow:
        self.sent.append(request)
        if self.error is not None:
            receiver.on_error(self.error)
        elif self.status:
            receiver.on_head(HttpHead(self.status, {}))
            for piece in self.pieces:
                receiver.on_body(piece)
            receiver.on_end()
        return cast(Flow, self)

    def abort(self) -> None:
        self.aborted = True

    async def aclose(self) -> None:
        """Nothing is open."""


async def test_a_webhook_gets_texts_that_can_be_read_and_the_headers_of_the_settings() -> None:
    wire = Wire(200, b'{"flagged"', b": true}")
    assert list(await WebhookJudge(HOOK, cast(Any, wire))(exchange(), ASKED, "output")) == ["other"]
    (request,) = wire.sent
    assert (request.method, request.url, request.headers["x-token"]) == ("POST", "http://hook/x", "t")
    assert orjson.loads(request.body)["texts"] == ["half ?"]


@pytest.mark.parametrize(
    ("wire", "failure"),
    [
        (Wire(302), Unreadable),
        (Wire(500, b'{"flagged": false}'), Unreadable),
        (Wire(200, b'{"flagged": false, "pad": "' + b"x" * 70_000 + b'"}'), Unreadable),
        (Wire(0), TimeoutError),
        (Wire(0, error=TransportError("connect", "refused", sent=False)), TransportError),
    ],
)
async def test_a_webhook_that_says_no_verdict_has_failed(wire: Wire, failure: type[Exception]) -> None:
    with pytest.raises(failure):
        await WebhookJudge(HOOK, cast(Any, wire))(exchange(), ASKED, "input")
    assert wire.aborted
