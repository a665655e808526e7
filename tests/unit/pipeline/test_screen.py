"""The stage that judges prompts, between the name of a model and everything that a request takes."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from llm_service.admission import Admitted
from llm_service.cache import CacheOptions, CachePolicy
from llm_service.domain import ContentFiltered, ModelRequest, Outcome, RateLimited, Reply, Verdict, chat_request
from llm_service.filters import FilterOptions, LocalFilter
from llm_service.observability import Contents, Redaction, RequestFinished, Said
from llm_service.pipeline import Exchange, Observe, Proceed, Remember, Screen, reporting
from llm_service.pipeline.screen import MOST_INLINE_BYTES
from llm_service.runtime import Tally, Tasks
from llm_service.storage import MemoryCache
from llm_service.streams import ReadyReply, Streams
from tests.support.clock import ManualClock
from tests.support.finding import Broken, caller, policies
from tests.support.generations import ScriptedSource
from tests.support.routes import a_route
from tests.support.row import PAID, WHOLE, World
from tests.support.service import LogLines

BLOCK = FilterOptions(type="keywords", name="no-red", words=("red",))
MASK = FilterOptions(type="keywords", name="own", words=("jo@x",), action="mask")


def exchange(text: str = "Hi", *, key_id: str = "key_a", body_bytes: int = 60, **fields: Any) -> Exchange:
    body = {"model": "p/m", "messages": [{"role": "user", "content": text}], **fields}
    made = Exchange(
        id="req_1",
        stream_id="str_1",
        surface="rest",
        request=chat_request(body, body_bytes),
        caller=caller(key_id),
        tasks=Tasks(lambda work, failure: None),
        received_at=0.0,
    )
    made.route = a_route("p")
    return made


async def proceed(exchange: Exchange) -> Reply:
    return ReadyReply(None, PAID, whole=WHOLE)  # type: ignore[arg-type]


async def passed(one: Exchange, *filters: FilterOptions, log: LogLines | None = None) -> Exchange:
    await Screen(policies(*filters), reporting(log or LogLines()))(one, proceed)
    return one


@pytest.mark.parametrize("body_bytes", [60, MOST_INLINE_BYTES + 1])
async def test_a_prompt_is_refused_by_the_filter_s_name_and_never_by_what_it_found(body_bytes: int) -> None:
    one = exchange("a red car", body_bytes=body_bytes)
    with pytest.raises(ContentFiltered) as refused:
        await passed(one, MASK, BLOCK)
    assert refused.value.message == "The prompt was refused by the filter `no-red` (keywords)."
    assert (refused.value.param, refused.value.provider, refused.value.retryable) == ("messages[0]", None, False)
    assert [verdict.filter for verdict in one.verdicts] == ["no-red"]


async def test_what_a_filter_asks_meets_no_filter() -> None:
    one = exchange("a red car")
    one.surface = "filter"
    assert (await passed(one, BLOCK)).policy.version == ""


@pytest.mark.parametrize("body_bytes", [60, MOST_INLINE_BYTES + 1])
async def test_what_is_masked_is_sent_in_place_of_the_request(body_bytes: int) -> None:
    one = await passed(exchange("to jo@x", body_bytes=body_bytes), MASK, BLOCK)
    assert one.sent.body["messages"] == [{"role": "user", "content": "to [WORD]"}]
    assert one.request.body["messages"] == [{"role": "user", "content": "to jo@x"}]
    assert (one.masks is None, [verdict.action for verdict in one.verdicts]) == (False, ["mask"])


@pytest.mark.parametrize("body_bytes", [60, MOST_INLINE_BYTES + 1])
@pytest.mark.parametrize("filters", [(BLOCK,), (FilterOptions(type="allowed_models", allowed=("q/*",)),)])
async def test_a_refused_prompt_counts_as_a_request_and_beyond_the_limit_it_is_not_judged_in_words(
    filters: Sequence[FilterOptions], body_bytes: int
) -> None:
    counted: list[Exchange] = []

    async def count(exchange: Exchange) -> None:
        counted.append(exchange)
        if len(counted) > 1:
            raise RateLimited("slow down", retry_after_s=1.0)

    screen = Screen(policies(*filters), reporting(LogLines()), counted=count)
    one = exchange("a red car", body_bytes=body_bytes)
    for error in (ContentFiltered, RateLimited):
        with pytest.raises(error):
            await screen(one, proceed)
    assert counted == [one, one]
    assert not one.is_screened


async def test_a_request_that_no_filter_meets_passes_as_it_came() -> None:
    one = await passed(exchange("a red car", key_id="key_b"), FilterOptions(**{**of(BLOCK), "keys": ("key_a",)}))
    assert (one.sent is one.request, one.masks, one.verdicts, one.policy.version) == (True, None, [], "")


def of(options: FilterOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in FilterOptions.__dataclass_fields__}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": "other/x"}, "model"),
        ({"models": ["p/m", "q/n"]}, "models"),
        ({"preset": "mine"}, "preset"),
        ({"plugins": [{"id": "auto-router"}]}, "plugins"),
        ({"model": "p/m@preset/mine"}, "model"),
        ({}, None),
    ],
)
async def test_names_of_models_are_judged_like_those_of_a_key(fields: dict[str, Any], param: str | None) -> None:
    only = FilterOptions(type="allowed_models", name="ours", allowed=("p/*",))
    if param is None:
        assert (await passed(exchange(**fields), only)).verdicts == []
        return
    with pytest.raises(ContentFiltered, match=r"refused by the filter `ours` \(allowed_models\)") as refused:
        await passed(exchange(**fields), only)
    assert refused.value.param == param
    reported = await passed(exchange(**fields), FilterOptions(**{**of(only), "action": "report"}))
    assert [(one.action, one.labels) for one in reported.verdicts] == [("report", ("model",))]


async def test_a_filter_that_breaks_is_told_without_a_word_of_the_prompt() -> None:
    log = LogLines()
    screen = Screen(policies(BLOCK), reporting(log))
    (local,) = screen.policies.all.input
    assert isinstance(local, LocalFilter)
    object.__setattr__(local, "detector", Broken())
    with pytest.raises(ContentFiltered, match="`no-red` \\(keywords\\) cannot judge this prompt"):
        await screen(exchange("canary"), proceed)
    (line,) = log.of("a filter failed")
    assert (line["filter"], line["failure"]) == ("no-red", "KeyError")
    assert "canary" not in str(log.lines)


async def test_another_policy_has_answers_of_its_own() -> None:
    clock = ManualClock()
    remember = Remember(
        policy=CachePolicy(CacheOptions(), ttls_s={}, address=lambda one: (one.provider, "", one.upstream_model)),
        store=MemoryCache(clock, max_bytes=1000, max_entry_bytes=1000),
        streams=Streams(clock, retention_s=1, total_bytes=1000),
        max_entry_bytes=1000,
        clock=clock,
        unsettled=Tally(),
    )
    digests = []
    for filters in ((), (BLOCK,), (FilterOptions(**{**of(BLOCK), "name": "other"}),), (BLOCK, MASK)):
        plan = remember.plan(await passed(exchange(), *filters))
        assert plan is not None
        digests.append(plan.digest)
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3


class Masking(World):
    """Masks every request, and keeps what admission and the counting of tokens are shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[ModelRequest] = []

    async def resolve(self, exchange: Exchange, proceed: Proceed) -> Reply:
        exchange.sent = replace(exchange.request, body={**exchange.request.body, "messages": [MASKED]})
        exchange.verdicts.append(FOUND)
        return await super().resolve(exchange, proceed)

    async def admit(self, request: ModelRequest, *, lease_id: str, **more: Any) -> Admitted:
        self.shown.append(request)
        return await super().admit(request, lease_id=lease_id, **more)

    def prompt(self, model: str, request: ModelRequest) -> int:
        self.shown.append(request)
        return super().prompt(model, request)


MASKED = {"role": "user", "content": "to [WORD]"}
FOUND = Verdict(filter="own", type="keywords", on="input", action="mask", labels=("word",))


async def test_what_is_sent_is_what_is_admitted_counted_and_recorded() -> None:
    world = Masking()
    client = await world.ask(stream=False, text="to jo@x")
    world.calls[0].answer.set_result(ScriptedSource(whole=WHOLE, outcome=Outcome(status="ok", finish_reason="stop")))
    await client.task
    assert [request.body["messages"] for request in world.shown] == [[MASKED]] * 2
    assert client.record.verdicts == (FOUND,)
    again = await world.ask(stream=False, text="to jo@x")
    other = await world.ask(stream=False, text="to al@y")
    assert (again.exchange.cache, other.exchange.cache) == ("hit", "miss")
    other.task.cancel()


async def test_what_is_foreseen_is_everything_that_filters_would_say() -> None:
    names = FilterOptions(type="allowed_models", name="ours", allowed=("q/*",))
    one = exchange("red and jo@x")
    foreseen = await Screen(policies(names, MASK, BLOCK), reporting(LogLines())).foresee(one)
    assert [verdict.filter for verdict in foreseen.verdicts] == ["ours", "own", "no-red"]
    assert foreseen.refusal is not None
    assert foreseen.refusal.param == "model"
    assert foreseen.scores == {"own": 1.0, "no-red": 1.0}
    assert one.verdicts == []


# -- what is told of it where contents are told


async def told_of(one: Exchange, *filters: FilterOptions, answer: bytes = WHOLE) -> Said:
    """What a log has of a request, whatever becomes of it."""
    facts: list[RequestFinished] = []
    contents = Contents(max_bytes=1000, redaction=Redaction([]))
    listeners: Any = SimpleNamespace(request_finished=facts.append)
    observe = Observe(listeners, ManualClock(), contents=contents, screens=bool(filters))
    screen = Screen(policies(*filters), reporting(LogLines()))
    outcome = PAID

    async def answered(exchange: Exchange) -> Reply:
        return ReadyReply(None, PAID, whole=answer)  # type: ignore[arg-type]

    async def screened(exchange: Exchange) -> Reply:
        return await screen(exchange, answered)

    try:
        await observe(one, screened)
    except ContentFiltered as error:
        outcome = Outcome(status="refused", error=error)
    one.settle(outcome)
    (fact,) = facts
    assert fact.said is not None
    return fact.said


async def test_a_prompt_that_is_not_let_pass_is_told_nowhere() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert await told_of(exchange("red, to jo@x", tools=tools), MASK, BLOCK) == Said(prompt="", answer="")
    names = FilterOptions(type="allowed_models", allowed=("q/*",))
    assert await told_of(exchange("to jo@x"), names, MASK) == Said(prompt="", answer="")
    assert "to [WORD]" in (await told_of(exchange("to jo@x"), MASK, BLOCK)).prompt
    assert "to jo@x" in (await told_of(exchange("to jo@x"))).prompt


async def test_what_is_put_back_into_an_answer_is_not_told() -> None:
    answer = WHOLE.replace(b"Hello", b"Write to jo@x")
    said = await told_of(exchange("to jo@x"), replace(MASK, reversible=True), answer=answer)
    assert "Write to [WORD_1]" in said.answer
