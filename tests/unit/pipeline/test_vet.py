"""The stages that ask elsewhere: prompts before anything is given or asked for, answers before anybody gets them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from llm_service.domain import (
    BudgetExceeded,
    ContentFiltered,
    LLMServiceError,
    Outcome,
    StreamInterrupted,
)
from llm_service.filters import FilterOptions, Masks, Passage, Policy
from llm_service.pipeline import Asking, Exchange, vet
from llm_service.pipeline.base import Withheld
from llm_service.pipeline.vet import HeldReply, Vetting
from tests.support.clock import ManualClock
from tests.support.generations import Reader, ScriptedSource
from tests.support.row import FINISH, PAID, TURNS, USAGE, WHOLE, Client, World
from tests.support.waiting import loop_turns

ON_INPUT = FilterOptions(type="moderation", name="in", url="http://x", on=("input",))
ON_OUTPUT = FilterOptions(type="moderation", name="out", url="http://x", on=("output",))
MORE = b'{"choices":[{"index":0,"delta":{"content":" again"}}]}'
ENDED = b'{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}'

Says = Callable[[str], Sequence[str]]


def nothing(text: str) -> Sequence[str]:
    return ()


def no_bad(text: str) -> Sequence[str]:
    return ("hate",) if "bad" in text else ()


class Judged(World):
    """A world whose requests meet these filters; ``says``: by the filter's name, what its judge says of a text."""

    def __init__(self, *filters: FilterOptions, **says: Says) -> None:
        clock = ManualClock()
        self.failures: list[tuple[str, str]] = []
        self.took: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.may_say = asyncio.Event()
        self.may_say.set()

        def judge(name: str) -> Callable[[Exchange, Sequence[Passage], str], Awaitable[Sequence[str]]]:
            async def ask(exchange: Exchange, passages: Sequence[Passage], on: str) -> Sequence[str]:
                text = " ".join(text for _, text in passages)
                self.asked.append((on, text))
                await self.may_say.wait()
                return says.get(name, nothing)(text)

            return ask

        asking = self.asking = Asking(
            {one.called: judge(one.called) for one in filters},
            report=lambda name, failure: self.failures.append((name, type(failure).__name__)),
            took=lambda name, seconds: self.took.append(name),
            clock=clock,
        )
        super().__init__(clock=clock, asking=asking, policy=Policy(version="v", asking=filters))


def raising(error: Exception) -> Says:
    def says(text: str) -> Sequence[str]:
        raise error

    return says


def seen(client: Client) -> list[bytes]:
    return [event.raw for event in client.reader.events]


def facts(client: Client) -> list[tuple[str, str, str, bool]]:
    return [(one.filter, one.on, one.action, one.failed) for one in client.record.verdicts]


# -- prompts


async def test_a_prompt_that_is_flagged_is_refused_behind_admission_and_costs_nothing() -> None:
    world = Judged(ON_INPUT, **{"in": no_bad})
    client = await world.ask(text="bad things")
    assert isinstance(client.error, ContentFiltered)
    assert client.error.message == "The prompt was refused by the filter `in` (moderation)."
    assert world.calls == []
    record = client.record
    assert (record.status, record.error_code, record.input_tokens, record.nano_usd) == (
        "refused",
        "content_filtered",
        0,
        0,
    )
    assert facts(client) == [("in", "input", "block", False)]
    (settled,) = world.of("req_1", "settlement")
    assert (settled.tokens, settled.nano_usd, settled.provider) == (0, 0, False)
    assert world.took == ["in"]
    world.check_all_closed()


async def test_a_kept_answer_and_one_on_its_way_wait_for_the_verdict_as_well() -> None:
    flagged: list[str] = []
    world = Judged(ON_INPUT, **{"in": lambda text: flagged})
    first = await world.answered(stream=False)
    leader = await world.ask(text="Ho", stream=False)
    flagged.append("hate")
    again = await world.ask(stream=False)
    follower = await world.ask(text="Ho", stream=False)
    assert [type(one.error) for one in (again, follower)] == [ContentFiltered, ContentFiltered]
    world.calls[-1].says_all()
    await loop_turns(TURNS)
    assert (first.has_all, leader.has_all, len(world.calls)) == (True, True, 2)
    world.check_all_closed()


async def test_all_filters_are_asked_at_once_and_the_first_find_of_the_list_wins_over_failures() -> None:
    filters = [replace(ON_INPUT, name=name) for name in ("broken", "mild", "strict", "second")]
    filters[1] = replace(filters[1], action="report")
    world = Judged(*filters, broken=raising(KeyError("canary")), mild=no_bad, strict=no_bad, second=no_bad)
    world.may_say.clear()
    client = await world.ask(text="bad")
    assert len(world.asked) == 4
    world.may_say.set()
    await loop_turns(TURNS)
    assert "`strict`" in str(client.error)
    assert facts(client) == [
        ("broken", "input", "block", True), ("mild", "input", "report", False), ("strict", "input", "block", False),
        ("second", "input", "block", False),
    ]  # fmt: skip
    assert world.failures == [("broken", "KeyError")]


@pytest.mark.parametrize("failure", [KeyError("canary"), TimeoutError(), StreamInterrupted("away")])
async def test_a_failure_blocks_or_passes_by_the_filters_own_setting(failure: Exception) -> None:
    closed = Judged(ON_INPUT, **{"in": raising(failure)})
    client = await closed.ask()
    assert str(client.error) == (
        "The filter `in` (moderation) cannot judge this prompt, and lets nothing pass that it cannot judge."
    )
    opened = Judged(replace(ON_INPUT, on_failure="open"), **{"in": raising(failure)})
    client = await opened.answered()
    assert client.has_all
    assert facts(client) == [("in", "input", "report", True)]


async def test_who_does_not_say_in_time_has_failed() -> None:
    world = Judged(replace(ON_INPUT, timeout_s=0.01))
    world.may_say.clear()
    client = await world.ask()
    await asyncio.wait({client.task})
    assert isinstance(client.error, ContentFiltered)
    assert world.failures == [("in", "TimeoutError")]


async def test_a_request_whose_own_time_is_over_is_told_that() -> None:
    world = Judged(ON_INPUT, replace(ON_INPUT, name="other", on_failure="open"))
    world.may_say.clear()
    client = await world.ask(deadline_s=0.01)
    await asyncio.wait({client.task})
    assert isinstance(client.error, LLMServiceError)
    assert (client.error.code, world.failures, world.calls) == ("deadline_exceeded", [], [])


async def test_a_limit_that_leaves_no_room_for_asking_refuses_as_it_does_elsewhere() -> None:
    world = Judged(ON_INPUT, **{"in": raising(BudgetExceeded("The budget is used up."))})
    client = await world.ask()
    assert isinstance(client.error, BudgetExceeded)
    assert facts(client) == [("in", "input", "block", True)]
    world = Judged(replace(ON_INPUT, on_failure="open"), **{"in": raising(BudgetExceeded("The budget is used up."))})
    assert (await world.answered()).has_all


async def test_numbers_of_tokens_are_not_judged_and_a_prompt_of_nothing_is_not_asked_about() -> None:
    world = Judged(ON_INPUT)
    assert isinstance((await world.ask(more={"prompt": [1, 2]})).error, ContentFiltered)
    assert (await world.answered(text=" ")).has_all
    assert world.asked == []


async def test_who_leaves_meanwhile_is_not_waited_for() -> None:
    world = Judged(ON_INPUT, replace(ON_INPUT, name="two"))
    world.may_say.clear()
    client = await world.ask()
    await client.hang_up()
    assert client.record.status == "aborted"
    world.check_all_closed()


# -- answers


async def test_nothing_of_a_stream_goes_out_before_it_is_judged_and_then_all_of_it_as_it_came() -> None:
    world = Judged(ON_OUTPUT)
    world.may_say.clear()
    client = await world.ask()
    follower = await world.ask()
    world.calls[0].says_all(pieces=[MORE])
    await loop_turns(TURNS)
    assert (seen(client), seen(follower), client.reader.outcomes) == ([], [], [])
    assert world.asked == [("output", "Hello again")]
    world.may_say.set()
    await loop_turns(TURNS)
    assert seen(client) == seen(follower)
    assert seen(client)[1:] == [MORE, FINISH, USAGE]
    assert (client.has_all, follower.has_all, client.record.verdicts) == (True, True, ())
    assert (await world.ask()).exchange.cache == "hit"
    world.check_all_closed()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_answer_says_nothing_to_anybody_and_is_paid(stream: bool) -> None:
    world = Judged(ON_OUTPUT, out=lambda text: ("hate",) if "Hello" in text else ())
    client = await world.ask(stream=stream)
    follower = await world.ask(stream=stream)
    world.calls[0].says_all(pieces=[MORE] if stream else ())
    await loop_turns(TURNS)
    for one in (client, follower):
        if stream:
            assert seen(one) == [ENDED, USAGE]
        else:
            assert one.whole is not None
            assert b"Hello" not in one.whole
            assert b'"finish_reason":"content_filter"' in one.whole
    assert facts(client) == [("out", "output", "block", False)]
    record = client.record
    assert (record.status, record.input_tokens, record.output_tokens, record.nano_usd) == ("ok", 10, 20, 500)
    again = await world.ask(stream=stream)
    assert again.exchange.cache == "miss"  # nobody gets it from the cache either
    again.task.cancel()


@pytest.mark.parametrize("stream", [True, False])
async def test_what_was_withheld_is_counted_where_its_provider_tells_no_usage(stream: bool) -> None:
    world = Judged(ON_OUTPUT, out=lambda text: ("hate",))
    client = await world.ask(stream=stream)
    source = world.calls[0].begins() if stream else None
    silent = Outcome(status="ok", finish_reason="stop")
    if source is None:
        world.calls[0].answer.set_result(whole_of(silent))
    else:
        source.say(MORE)
        source.say(FINISH, kinds=("finish",))
        source.finish(silent)
    await loop_turns(TURNS)
    record = client.record
    assert (record.input_tokens, record.output_tokens, record.status) == (7, 2 if stream else 1, "ok")


@pytest.mark.parametrize("blocked", [True, False])
async def test_what_filters_here_have_kept_back_is_counted_beside_what_is_judged_elsewhere(blocked: bool) -> None:
    world = Judged(ON_OUTPUT, out=(lambda text: ("hate",)) if blocked else nothing)
    client = await world.ask(stream=True)
    source = world.calls[0].begins()
    source.say(MORE)
    source.say(FINISH, kinds=("finish",))
    kept_back = client.exchange.withheld = Withheld((MORE.replace(b" again", b" kept "),))
    source.finish(Outcome(status="ok", finish_reason="stop"))
    await loop_turns(TURNS)
    assert client.record.output_tokens == 3  # two that were judged, or given, and the one that was kept back
    assert (client.exchange.withheld is kept_back) is not blocked


def whole_of(outcome: Outcome) -> Any:
    return ScriptedSource(whole=WHOLE, outcome=outcome)


@pytest.mark.parametrize("stream", [True, False])
async def test_who_leaves_while_the_answer_is_judged_pays_what_its_provider_said(stream: bool) -> None:
    world = Judged(ON_OUTPUT)
    world.may_say.clear()
    client = await world.ask(stream=stream)
    world.calls[0].says_all()
    await loop_turns(TURNS)
    await client.hang_up()
    record = client.record
    assert (record.status, record.input_tokens, record.output_tokens, record.nano_usd) == ("aborted", 10, 20, 500)
    world.check_all_closed()


@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_put_back_for_the_client_is_not_shown_to_who_judges(stream: bool) -> None:
    world = Judged(ON_OUTPUT)
    world.masks = Masks()
    assert world.masks.placeholder("greeting", "Hello") == "[GREETING_1]"
    client = await world.ask(stream=stream)
    world.calls[0].says_all()
    await loop_turns(TURNS)
    assert client.has_all
    assert world.asked == [("output", "[GREETING_1]")]


async def test_who_leaves_while_the_answer_comes_lets_the_provider_go() -> None:
    world = Judged(ON_OUTPUT)
    client = await world.ask()
    source = world.calls[0].begins()
    await loop_turns(TURNS)
    await client.hang_up()
    assert source.detached
    assert (client.record.status, client.record.output_tokens) == ("aborted", 1)
    world.check_all_closed()


async def test_a_stream_that_breaks_off_is_judged_and_its_error_is_told() -> None:
    for flagged in (False, True):
        world = Judged(ON_OUTPUT, out=lambda text, flagged=flagged: ("hate",) if flagged else ())  # type: ignore[misc]
        client = await world.ask()
        source = world.calls[0].begins()
        error = StreamInterrupted("It broke off.")
        source.say(error=error)
        source.finish(Outcome(status="error", error=error))
        await loop_turns(TURNS)
        assert [event.kind for event in client.reader.events] == (["error"] if flagged else ["chunk", "error"])
        assert (client.record.status, client.record.output_tokens) == ("error", 1)
        world.check_all_closed()


@pytest.mark.parametrize("on_failure", ["open", "closed"])
async def test_an_answer_that_cannot_be_judged_goes_by_the_setting(on_failure: Any) -> None:
    world = Judged(replace(ON_OUTPUT, on_failure=on_failure), out=raising(KeyError("canary")))
    client = await world.answered()
    assert seen(client)[-2:] == ([FINISH, USAGE] if on_failure == "open" else [ENDED, USAGE])
    assert facts(client) == [("out", "output", "report" if on_failure == "open" else "block", True)]


@pytest.mark.parametrize("on_failure", ["open", "closed"])
async def test_a_stream_that_is_too_long_is_decided_on_at_once(
    on_failure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vet, "MOST_HELD_BYTES", 100)
    world = Judged(replace(ON_OUTPUT, on_failure=on_failure))
    client = await world.ask()
    source = world.calls[0].begins()
    source.say(MORE)
    await loop_turns(TURNS)
    assert world.asked == []
    if on_failure == "closed":
        assert source.detached
        assert seen(client) == [ENDED]
        assert (client.record.status, client.record.output_tokens) == ("ok", 2)
        return
    assert (source.paused, len(seen(client))) == (False, 2)
    source.say(MORE)
    assert len(seen(client)) == 3
    source.say(FINISH, USAGE, kinds=("finish", "usage"))
    source.finish(PAID)
    await loop_turns(TURNS)
    assert client.has_all
    world.check_all_closed()


async def test_a_slow_reader_gets_what_was_held_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vet, "BATCH", 2)
    world = Judged(ON_OUTPUT)
    client = await world.ask()
    reader = client.reader = Reader(credit=1)
    world.calls[0].says_all(pieces=[MORE] * 5)
    await loop_turns(TURNS)
    assert len(seen(client)) == 2
    reader.resume()
    await loop_turns(TURNS)
    assert [event.kind for event in reader.events] == ["chunk"] * 6 + ["finish", "usage"]


async def test_a_slow_reader_holds_the_rest_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vet, "BATCH", 2)
    world = Judged(ON_OUTPUT)
    client = await world.ask(stream=False)
    source, reader = ScriptedSource(), Reader(credit=1)
    reader.follow(HeldReply(source, Vetting(world.asking, [ON_OUTPUT], client.exchange)))
    source.say(*[MORE] * 5)
    source.say(FINISH, USAGE, kinds=("finish", "usage"))
    source.finish(PAID)
    await loop_turns(TURNS)
    assert (len(reader.events), reader.outcomes) == (2, [])
    reader.resume()
    assert ([event.kind for event in reader.events[2:]], reader.outcomes) == (
        ["chunk"] * 3 + ["finish", "usage"],
        [PAID],
    )
    client.task.cancel()


async def test_what_was_given_out_after_all_is_counted_once_where_its_provider_tells_no_usage() -> None:
    world = Judged(ON_OUTPUT)
    client = await world.ask()
    source = world.calls[0].begins()
    source.say(MORE)
    source.say(FINISH, kinds=("finish",))
    source.finish(Outcome(status="ok", finish_reason="stop"))
    await loop_turns(TURNS)
    assert (client.has_all, client.record.output_tokens) == (True, 2)


async def test_a_verdict_on_an_answer_that_comes_too_late_ends_the_stream_with_an_error() -> None:
    world = Judged(ON_OUTPUT)
    world.may_say.clear()
    client = await world.ask(deadline_s=0.01)
    world.calls[0].says_all()
    await asyncio.sleep(0.03)
    assert [event.kind for event in client.reader.events] == ["error"]
    assert client.record.error_code == "deadline_exceeded"
    assert (client.record.output_tokens, client.record.nano_usd) == (20, 500)
    world.check_all_closed()
