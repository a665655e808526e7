"""Every AlertStore and SampleStore keeps its word, on both engines: one evaluates, and what it knew outlives it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from llm_service.storage import AlertEntry, AlertStore, Database, Sample, SampleStore, SilenceRow
from tests.conformance.storage.conftest import Place

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def alerts(database: Database) -> AlertStore:
    return database.alerts


@pytest.fixture
async def samples(database: Database) -> SampleStore:
    return database.samples


def entry(rule: str, *, at: datetime = NOON, body: str = "{}") -> AlertEntry:
    return AlertEntry(rule=rule, at=at, body=body)


def sample(machine: str, at: datetime) -> Sample:
    return Sample(machine=machine, at=at, body=f'{{"at": "{at}"}}')


# -- the lease


async def test_one_evaluates_until_its_time_is_over(alerts: AlertStore) -> None:
    first = await alerts.take("a", now=NOON, until=NOON + MINUTE)
    assert (first.holder, first.until, first.version, first.state) == ("a", NOON + MINUTE, 0, None)
    assert (await alerts.take("b", now=NOON + 59 * SECOND, until=NOON + 2 * MINUTE)).holder == "a"
    assert (await alerts.take("a", now=NOON + 59 * SECOND, until=NOON + 2 * MINUTE)).until == NOON + 2 * MINUTE
    assert (await alerts.take("b", now=NOON + 2 * MINUTE, until=NOON + 3 * MINUTE)).holder == "b"
    assert (await alerts.lease()).holder == "b"


async def test_who_lets_go_is_followed_at_once_and_nobody_else_can_let_go(alerts: AlertStore) -> None:
    await alerts.take("a", now=NOON, until=NOON + MINUTE)
    await alerts.release("b", now=NOON)
    assert (await alerts.take("b", now=NOON, until=NOON + MINUTE)).holder == "a"
    await alerts.release("a", now=NOON + SECOND)
    assert (await alerts.take("b", now=NOON + SECOND, until=NOON + MINUTE)).holder == "b"


async def test_of_all_who_come_at_once_one_evaluates(place: Place) -> None:
    stores = [await place.open() for _ in range(4)]
    asked = (one.alerts.take(str(number), now=NOON, until=NOON + MINUTE) for number, one in enumerate(stores * 5))
    assert len({lease.holder for lease in await asyncio.gather(*asked)}) == 1


async def test_state_is_handed_on_and_who_was_followed_cannot_save_any_more(alerts: AlertStore) -> None:
    await alerts.take("a", now=NOON, until=NOON + MINUTE)
    assert await alerts.save("a", version=0, state="one", entries=[entry("x")])
    assert not await alerts.save("a", version=0, state="late", entries=[entry("y")])
    taken = await alerts.take("b", now=NOON + MINUTE, until=NOON + 2 * MINUTE)
    assert (taken.version, taken.state) == (1, "one")
    assert not await alerts.save("a", version=1, state="late", entries=[entry("y")])
    assert await alerts.save("b", version=1, state="two", entries=[])
    assert ((await alerts.lease()).state, [one.rule for one in await page(alerts)]) == ("two", ["x"])


async def test_state_outlives_the_process(place: Place) -> None:
    first = await place.open()
    await first.alerts.take("a", now=NOON, until=NOON + MINUTE)
    await first.alerts.save("a", version=0, state="kept", entries=())
    await first.aclose()
    assert (await (await place.open()).alerts.lease()).state == "kept"


# -- what happened


async def page(alerts: AlertStore, *, rule: str | None = None, after: int | None = None) -> Sequence[AlertEntry]:
    return await alerts.history(rule=rule, after=after, count=2)


async def test_history_is_paged_newest_first_of_one_rule_or_of_all(alerts: AlertStore) -> None:
    rules = ("a", "b", "a", "b", "a")
    await alerts.append([entry(rule, body=f'"{number}"') for number, rule in enumerate(rules)])
    first = await page(alerts)
    assert [one.body for one in first] == ['"4"', '"3"']
    assert first[0].mark > first[1].mark > 0
    assert [one.body for one in await page(alerts, after=first[-1].mark)] == ['"2"', '"1"']
    of_one = await page(alerts, rule="a")
    assert [one.body for one in of_one] == ['"4"', '"2"']
    assert [one.body for one in await page(alerts, rule="a", after=of_one[-1].mark)] == ['"0"']
    assert await page(alerts, rule="nobody") == []


async def test_all_that_is_appended_at_once_has_marks_of_its_own(place: Place) -> None:
    stores = [await place.open() for _ in range(3)]
    await asyncio.gather(*(one.alerts.append([entry("a"), entry("b")]) for one in stores * 4))
    kept = await stores[0].alerts.history(rule=None, after=None, count=100)
    assert sorted(one.mark for one in kept) == list(range(1, 25))


async def test_what_is_old_is_removed_with_silences_that_were_over(alerts: AlertStore) -> None:
    await alerts.append([entry("old", at=NOON - SECOND), entry("new", at=NOON)])
    for name, until in (("over", NOON - SECOND), ("holds", NOON)):
        await alerts.put_silence(SilenceRow(id=name, until=until, body="{}"))
    assert await alerts.prune(before=NOON) == 2
    assert [one.rule for one in await page(alerts)] == ["new"]
    assert [one.id for one in await alerts.silences()] == ["holds"]


async def test_a_silence_is_kept_and_replaced(alerts: AlertStore) -> None:
    await alerts.put_silence(SilenceRow(id="a", until=NOON + MINUTE, body="1"))
    await alerts.put_silence(SilenceRow(id="b", until=NOON, body="2"))
    await alerts.put_silence(SilenceRow(id="a", until=NOON + 2 * MINUTE, body="3"))
    assert [(one.id, one.body) for one in await alerts.silences()] == [("b", "2"), ("a", "3")]
    assert [one.id for one in await alerts.silences(ending_after=NOON)] == ["a"]


# -- samples


async def test_samples_of_all_machines_come_oldest_first(samples: SampleStore) -> None:
    kept = [sample("b", NOON), sample("a", NOON + SECOND), sample("a", NOON)]
    for one in kept:
        await samples.add(one)
    await samples.add(Sample(machine="a", at=NOON, body="again"))
    assert await samples.since(NOON) == [kept[2], kept[0], kept[1]]
    assert await samples.since(NOON + SECOND) == [kept[1]]


async def test_the_first_sample_of_a_machine_in_each_five_minutes_lasts(samples: SampleStore) -> None:
    moments = [NOON + number * MINUTE for number in range(11)]
    for at in moments:
        await samples.add(sample("a", at))
        await samples.add(sample("b", at + SECOND))
    lasting = await samples.since(NOON, lasting=True)
    assert [(one.machine, one.at) for one in lasting if one.machine == "a"] == [
        ("a", NOON + number * MINUTE) for number in (0, 5, 10)
    ]
    assert len(lasting) == 6


async def test_pruning_leaves_the_lasting_ones_for_longer(samples: SampleStore) -> None:
    for number in range(8):
        await samples.add(sample("a", NOON + number * MINUTE))
    assert await samples.prune(before=NOON + 7 * MINUTE, all_before=NOON + MINUTE) == 6
    assert [one.at for one in await samples.since(NOON)] == [NOON + 5 * MINUTE, NOON + 7 * MINUTE]
