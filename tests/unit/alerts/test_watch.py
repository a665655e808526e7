"""Once per cluster: one looks, another goes on, nothing is forgotten or told twice; without a database each alone."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from llm_service.alerts import AlertOptions, Matcher, Silence, read_book, read_entry, silence_text
from llm_service.storage import SilenceRow, StoreUnavailable
from tests.support.alerting import OPTIONS, Site, Watched
from tests.support.figures import Machine
from tests.support.waiting import until

DOWN = AlertOptions(name="down", kind="provider_down", for_="0", keep_firing_for="0")
STORE = AlertOptions(name="store", kind="store_down", for_="20s", keep_firing_for="0")
BURN = AlertOptions(name="burn", kind="error_ratio", above=0.1, window="1h", for_="0", severity="critical")


def down(machine: Machine, is_down: bool = True, provider: str = "a") -> None:
    machine.gauge("llm_provider_up", 0 if is_down else 1, provider=provider)


async def history_of(site: Site) -> list[tuple[str, str]]:
    """What happened, oldest first."""
    entries = await site.database.alerts.history(rule=None, after=None, count=100)
    return [(event.happened, event.rule) for event in map(read_entry, reversed(entries))]


async def state_of(site: Site) -> dict[str, str]:
    book = read_book((await site.database.alerts.lease()).state)
    return {alert.rule: alert.state for alert in book.alerts.values()}


async def test_an_alert_fires_is_told_ends_and_is_told_again(site: Site) -> None:
    one = site.watch("one", [DOWN])
    down(one.machine)
    await site.passes(10, one)
    assert (one.notifier.said, await state_of(site)) == ([("firing", ["down"])], {"down": "firing"})
    assert one.watch.firing() == {("down", "critical"): 1.0}
    await site.passes(60, one)
    down(one.machine, is_down=False)
    await site.passes(10, one)
    assert one.notifier.said == [("firing", ["down"]), ("resolved", ["down"])]
    assert one.watch.firing() == {}
    await site.passes(10, one)
    assert await history_of(site) == [
        ("firing", "down"),
        ("notified", "down"),
        ("resolved", "down"),
        ("notified", "down"),
    ]
    assert [(change.rule, change.state) for change in site.changes] == [("down", "firing"), ("down", "resolved")]
    assert [line["level"] for line in site.log.lines if "alert" in str(line["event"]).split()] == [
        "warning",
        "info",
    ]


async def test_one_of_several_looks_and_the_others_figures_count(site: Site) -> None:
    both = [site.watch(name, [BURN]) for name in ("one", "two")]

    def each() -> None:
        both[0].machine.requests(10)
        both[1].machine.requests(6, 4)

    await site.passes(100, *both, each=each)
    assert [one.watch.looks for one in both] == [True, False]
    assert both[0].notifier.said == [("firing", ["burn"])]
    assert 0.1 < both[0].notifier.notices[0].alerts[0].value < 0.25  # type: ignore[operator]
    assert both[1].notifier.said == []


async def test_who_dies_is_followed_within_two_intervals_and_nothing_is_told_twice(site: Site) -> None:
    one, two = site.watch("one", [DOWN, BURN]), site.watch("two", [DOWN, BURN])
    down(one.machine)
    down(two.machine)

    def each() -> None:
        one.machine.requests(6, 4)

    await site.passes(60, one, two, each=each)
    assert one.notifier.said == [("firing", ["down"]), ("firing", ["burn", "down"])]
    await site.passes(2 * OPTIONS.interval_s, two)
    assert two.watch.looks
    assert await state_of(site) == {"down": "firing", "burn": "firing"}
    assert two.notifier.said == []
    down(two.machine, is_down=False)
    await site.passes(60, two)
    assert two.notifier.said == [("firing", ["burn", "down"])]
    ended = {alert.rule: alert.resolved_at is not None for alert in two.notifier.notices[0].alerts}
    assert ended == {"burn": False, "down": True}


async def test_what_was_not_delivered_before_the_end_is_delivered_by_the_next(site: Site) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])
    down(one.machine)
    down(two.machine)
    one.notifier.slow = True
    await site.passes(20, one, two)
    assert one.notifier.said == [("firing", ["down"])]
    await site.passes(20, two)
    assert two.notifier.said == [("firing", ["down"])]


async def test_who_was_away_for_long_neither_saves_nor_tells(site: Site) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])
    await site.passes(10, one, two)
    await site.passes(30, two)
    assert (one.watch.looks, two.watch.looks) == (True, True)
    down(one.machine)
    await site.passes(10, one)
    assert (one.watch.looks, one.notifier.said) == (False, [])


async def test_who_ends_lets_the_next_one_look_at_once(site: Site) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])
    one.watch.start()
    await until_looks(one)
    await one.watch.stop()
    await one.watch.let_go()
    await two.watch.tick()
    assert two.watch.looks


@pytest.mark.parametrize(("fails", "said"), [(None, []), ("the service stopped", [("firing", ["down"])])])
async def test_what_is_delivered_at_the_end_is_not_delivered_again_and_what_is_not_is(
    site: Site, fails: str | None, said: list[Any]
) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])
    down(one.machine)
    down(two.machine)
    one.notifier.slow = True
    one.watch.start()
    await until(lambda: one.notifier.notices)
    await one.watch.stop()
    one.notifier.fails = fails
    one.notifier.finish()
    await one.watch.let_go()
    await two.watch.tick()
    assert (two.watch.looks, two.notifier.said) == (True, said)


async def test_who_goes_by_former_settings_lets_go(site: Site) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])
    one.watch.start()
    await until(lambda: one.watch.looks and site.clock.timers)
    one.retired = True
    site.clock.advance(10)
    await until(lambda: not one.watch.looks)
    await two.watch.tick()
    assert two.watch.looks


async def until_looks(watched: Watched) -> None:
    await until(lambda: watched.watch.looks)


async def test_windows_outlast_a_restart(site: Site) -> None:
    one = site.watch("one", [BURN])

    def each() -> None:
        one.machine.requests(6, 4)

    await site.passes(60, one, each=each)
    await one.tasks.aclose()
    one.machine.restart()
    again = site.watch("again", [replace(BURN, min_count=100)], machine="one")
    await site.passes(20, again)
    assert again.watch.looks
    assert await state_of(site) == {"burn": "firing"}


async def test_a_clock_that_is_set_back_does_not_blind_the_rules(site: Site) -> None:
    one = site.watch("one", [DOWN])
    await site.passes(30, one)
    site.clock.set_back(3600)
    down(one.machine)
    for _ in range(2):
        site.clock.advance(10)
        await one.watch.tick()
    assert await state_of(site) == {"down": "firing"}
    down(one.machine, is_down=False)
    site.clock.advance(10)
    await one.watch.tick()
    assert await state_of(site) == {"down": "resolved"}


async def test_what_was_sampled_before_the_clock_was_set_back_is_not_counted_again(site: Site) -> None:
    one = site.watch("one", [BURN])
    await site.passes(60, one, each=lambda: one.machine.requests(100, 2))
    site.clock.set_back(43)
    for _ in range(6):
        one.machine.requests(100)
        site.clock.advance(10)
        await one.watch.tick()
    assert one.notifier.said == []
    assert one.watch._figures.history.increase("llm_requests_total", over_s=3600) <= 12 * 102 + 6 * 100


async def test_the_turn_is_renewed_while_many_samples_are_read(site: Site) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])
    await site.passes(600, one)
    site.clock.advance(20)
    real, reading = one.samples.since, list[str]()

    async def slow(*given: Any, **how: Any) -> Any:
        found = await real(*given, **how)
        site.clock.advance(6)
        return found

    two.samples.since = slow

    async def renew(holder: str, **when: Any) -> Any:
        reading.append(holder)
        site.clock.advance(6)
        return await site.database.alerts.take(holder, **when)

    two.alerts.take = renew
    await two.watch.tick()
    assert (two.watch.looks, one.watch.looks) == (True, True)
    assert len(reading) > 2
    await one.watch.tick()
    assert (two.watch.looks, one.watch.looks) == (True, False)


async def test_figures_that_could_not_be_read_are_read_with_the_next_look(site: Site) -> None:
    one = site.watch("one", [BURN])
    await site.passes(600, one, each=lambda: one.machine.requests(6, 4))
    await one.watch.let_go()
    two = site.watch("two", [BURN])
    two.samples.since = cut_off
    await two.watch.tick()
    assert two.watch.alone is not None
    del two.samples.since
    site.clock.advance(5)
    await two.watch.tick()
    assert two.watch.alone is None
    assert two.watch._figures.history.increase("llm_request_errors_total", over_s=3600) > 400


async def cut_off(*given: Any, **how: Any) -> Any:
    raise StoreUnavailable("the database did not answer in time")


async def test_a_look_that_takes_long_does_not_put_off_the_next_one(site: Site) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])

    async def slow(holder: str, **when: Any) -> Any:
        site.clock.advance(6)
        return await site.database.alerts.take(holder, **when)

    one.alerts.take = slow
    one.watch.start()
    await until(lambda: one.watch.looks and site.clock.timers)
    site.clock.advance(4)
    await until(lambda: one.machine.reads == 2)
    await one.watch.stop()
    await two.watch.tick()
    assert (one.watch.looks, two.watch.looks) == (True, False)


async def test_what_became_of_a_notice_while_the_turn_is_taken_is_kept_once(site: Site) -> None:
    one, real = site.watch("one", [DOWN]), site.database.alerts.take
    down(one.machine)
    one.notifier.slow = True
    await site.passes(10, one)

    async def slow(holder: str, **when: Any) -> Any:
        lease = await real(holder, **when)
        one.notifier.finish()
        for _ in range(2):  # whatever is written meanwhile is written before these
            await site.database.alerts.append(())
        return lease

    one.alerts.take = slow
    down(one.machine, is_down=False)
    await site.passes(10, one)
    del one.alerts.take
    await site.passes(20, one)
    one.notifier.finish()
    await site.passes(10, one)
    assert (one.watch.looks, one.notifier.said) == (True, [("firing", ["down"]), ("resolved", ["down"])])
    assert [what for what, _ in await history_of(site)] == ["firing", "notified", "resolved", "notified"]


async def test_one_that_nearly_comes_again_ends_once(site: Site) -> None:
    one = site.watch("one", [replace(DOWN, for_="20s")])
    for is_down, seconds in ((True, 40), (False, 10), (True, 10), (False, 20)):
        down(one.machine, is_down=is_down)
        await site.passes(seconds, one)
    assert one.notifier.said == [("firing", ["down"]), ("resolved", ["down"])]
    assert [what for what, _ in await history_of(site)] == ["firing", "notified", "resolved", "notified"]


async def test_what_became_of_a_notice_is_in_the_history_whoever_looks_now(site: Site) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])
    down(one.machine)
    one.notifier.slow = True
    await site.passes(20, one)
    site.clock.advance(60)
    await two.watch.tick()
    one.notifier.fails = "it answered 404"
    one.notifier.finish()
    await one.settled()
    await one.watch.stop()
    await one.watch.let_go()
    assert ("failed", "down") in await history_of(site)


# -- without the database


async def test_whoever_looked_last_knows_better_when_the_database_is_back(site: Site) -> None:
    one, two = site.watch("one", [DOWN]), site.watch("two", [DOWN])
    down(one.machine)
    down(two.machine)
    await site.passes(20, one, two)
    for each in (one, two):
        each.cut(away=True)
    await site.passes(20, one, two)
    for each in (one, two):
        down(each.machine, is_down=False)
    await site.passes(20, one, two)
    assert two.notifier.said == [("resolved", ["down"])]
    two.cut(away=False)
    await site.passes(60, two)
    assert two.watch.alone is None
    assert two.notifier.said == [("resolved", ["down"])]


async def test_what_fired_alone_ends_in_the_history_though_nobody_was_told(site: Site) -> None:
    one, two = site.watch("one", [STORE]), site.watch("two", [replace(STORE, notify=("closed",))])
    await site.passes(20, one, two)
    two.cut(away=True)
    two.machine.gauge("llm_store_up", 0, store="database")
    await site.passes(40, one, two)
    two.cut(away=False)
    two.machine.gauge("llm_store_up", 1, store="database")
    await site.passes(40, one, two)
    happened = [what for what, _ in await history_of(site)]
    assert (happened[0], happened.count("firing"), happened.count("resolved")) == ("firing", 1, 1)


async def test_without_the_database_what_is_wrong_is_told_all_the_same(site: Site) -> None:
    one = site.watch("one", [STORE])
    await site.passes(10, one)
    one.cut(away=True)
    one.machine.gauge("llm_store_up", 0, store="database")
    await site.passes(20, one)
    assert one.notifier.said == []
    await site.passes(20, one)
    assert one.notifier.said == [("firing", ["store"])]
    assert one.watch.alone is not None
    assert list(one.watch.firing()) == [("store", "critical")]
    one.cut(away=False)
    one.machine.gauge("llm_store_up", 1, store="database")
    await site.passes(20, one)
    assert one.notifier.said == [("firing", ["store"]), ("resolved", ["store"])]
    await site.passes(10, one)
    assert await history_of(site) == [
        ("firing", "store"),
        ("notified", "store"),
        ("resolved", "store"),
        ("notified", "store"),
    ]
    assert len(site.log.of("alerts are looked at by this machine alone")) == 1


async def test_what_was_told_before_the_database_went_away_is_not_told_again_by_the_others(site: Site) -> None:
    both = [site.watch(name, [DOWN, STORE]) for name in ("one", "two")]
    for one in both:
        down(one.machine)
    await site.passes(20, *both)
    for one in both:
        one.cut(away=True)
        one.machine.gauge("llm_store_up", 0, store="database")
    await site.passes(60, *both)
    assert both[0].notifier.said == [("firing", ["down"]), ("firing", ["down", "store"])]
    assert both[1].notifier.said == [("firing", ["down", "store"])]


async def test_what_only_one_that_does_not_look_had_seen_is_over_for_it_when_the_database_is_back(site: Site) -> None:
    one, two = site.watch("one", [DOWN, STORE]), site.watch("two", [DOWN, STORE])
    down(one.machine)
    down(two.machine)
    await site.passes(20, one, two)
    two.cut(away=True)
    two.machine.gauge("llm_store_up", 0, store="database")
    await site.passes(40, one, two)
    assert two.notifier.said == [("firing", ["down", "store"])]
    two.cut(away=False)
    two.machine.gauge("llm_store_up", 1, store="database")
    await site.passes(20, one, two)
    assert two.notifier.said[1:] == [("resolved", ["store"])]
    assert one.notifier.said == [("firing", ["down"])]
    assert await state_of(site) == {"down": "firing"}
    assert ("resolved", "down") not in await history_of(site)


async def test_what_was_told_alone_is_known_to_whoever_looks_for_all_again(site: Site) -> None:
    one, two = site.watch("one", [STORE]), site.watch("two", [STORE])
    await site.passes(20, one, two)
    one.cut(away=True)
    await site.passes(20, one, two)
    one.machine.gauge("llm_store_up", 0, store="database")
    await site.passes(40, one)
    assert (two.watch.looks, one.notifier.said) == (True, [("firing", ["store"])])
    one.cut(away=False)
    one.machine.gauge("llm_store_up", 1, store="database")
    await site.passes(40, one)
    assert one.notifier.said == [("firing", ["store"]), ("resolved", ["store"])]


async def test_who_is_followed_in_the_midst_of_a_look_tells_nothing(site: Site) -> None:
    one, real = site.watch("one", [DOWN]), site.database.alerts.save
    down(one.machine)

    async def followed(holder: str, **state: Any) -> bool:
        later = site.clock.now() + timedelta(days=1)
        await site.database.alerts.take("another", now=later, until=later)
        return await real(holder, **state)

    one.alerts.save = followed
    await one.watch.tick()
    assert (one.watch.looks, one.notifier.said) == (False, [])


# -- telling


async def test_a_notice_that_failed_is_kept_in_the_history_and_tried_again(site: Site) -> None:
    one = site.watch("one", [DOWN])
    down(one.machine)
    one.notifier.fails = "it answered 500"
    await site.passes(20, one)
    assert ("failed", "down") in await history_of(site)
    one.notifier.fails = None
    await site.passes(320, one)
    assert one.notifier.said == [("firing", ["down"])] * 2
    assert one.ended == [("me", "failed"), ("me", "delivered")]


async def test_news_take_the_place_of_what_is_still_on_its_way(site: Site) -> None:
    one = site.watch("one", [DOWN])
    down(one.machine)
    one.notifier.slow = True
    await site.passes(10, one)
    down(one.machine, is_down=False)
    await site.passes(10, one)
    assert one.notifier.said == [("firing", ["down"]), ("resolved", ["down"])]
    one.notifier.finish()
    await one.settled()
    await site.passes(60, one)
    assert len(one.notifier.notices) == 2


async def test_what_is_silenced_fires_and_is_not_told(site: Site) -> None:
    one = site.watch("one", [DOWN])
    now = site.clock.now()
    silence = Silence(
        id="s",
        matchers=(Matcher(name="provider", value="a"),),
        starts_at=now,
        ends_at=now.replace(hour=23),
        created_by="anna",
        comment="",
    )
    await site.database.alerts.put_silence(SilenceRow(id="s", until=silence.ends_at, body=silence_text(silence)))
    down(one.machine)
    await site.passes(30, one)
    assert (await state_of(site), one.notifier.said) == ({"down": "firing"}, [])
    over = replace(silence, ends_at=site.clock.now())
    await site.database.alerts.put_silence(SilenceRow(id="s", until=over.ends_at, body=silence_text(over)))
    await site.passes(10, one)
    assert one.notifier.said == [("firing", ["down"])]


async def test_an_alert_whose_rule_is_gone_is_over(site: Site) -> None:
    one = site.watch("one", [DOWN])
    down(one.machine)
    await site.passes(10, one)
    again = site.watch("again", [STORE])
    down(again.machine)
    await site.passes(30, again)
    assert again.notifier.said == [("resolved", ["down"])]


async def test_a_rule_that_fails_does_not_stop_the_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_service.alerts import evaluator

    real = evaluator.findings

    def failing(history: Any, rule: Any) -> Any:
        return 1 / 0 if rule.name == "store" else real(history, rule)

    monkeypatch.setattr(evaluator, "findings", failing)
    one = site.watch("one", [STORE, DOWN])
    down(one.machine)
    await site.passes(10, one)
    assert one.notifier.said == [("firing", ["down"])]
    assert site.log.of("an alert rule cannot be looked at")[0]["rule"] == "store"


async def test_a_state_that_nobody_understands_is_begun_anew(site: Site) -> None:
    now = site.clock.now()
    await site.database.alerts.take("x", now=now, until=now)
    await site.database.alerts.save("x", version=0, state="[]", entries=())
    one = site.watch("one", [DOWN])
    down(one.machine)
    await site.passes(10, one)
    assert await state_of(site) == {"down": "firing"}


async def test_a_trial_says_whether_it_was_delivered(site: Site) -> None:
    one = site.watch("one", [DOWN])
    telling = one.watch.telling
    for notice in telling.trials("down", "critical", {}, site.clock.now()):
        assert await one.handover.delivered("me", notice, within_s=1) is None
        assert await one.handover.delivered("closed", notice, within_s=1) == "it is closed"
        assert await one.handover.delivered("nobody", notice, within_s=1) == "there is no notifier of this name"
    one.notifier.slow = True
    said = await one.handover.delivered("me", notice, within_s=0.01)
    assert said == "it was not delivered within 0.01 s, and is still tried"
    assert one.notifier.said[0] == ("firing", ["down"])


async def test_by_the_hour_what_was_kept_long_enough_is_removed(site: Site) -> None:
    """History, silences that are over, and samples that no window reaches; by whoever looks."""
    one = site.watch("one", [DOWN], options=replace(OPTIONS, history_days=7))
    down(one.machine)
    await site.passes(10, one)
    began = site.clock.now()
    await site.database.alerts.put_silence(SilenceRow(id="s", until=began + timedelta(hours=1), body="{}"))
    assert await history_of(site)
    site.clock.advance(timedelta(days=6).total_seconds())
    await one.look()
    assert ("firing", "down") in await history_of(site)
    assert all(sample.at > began for sample in await site.database.samples.since(began - timedelta(days=1)))
    site.clock.advance(timedelta(days=1, hours=2).total_seconds())
    await one.look()
    assert ("firing", "down") not in (await history_of(site))[:1]
    assert await site.database.alerts.silences() == []
