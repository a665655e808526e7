"""Free endpoints are asked from time to time, by one process for all, and what was told is kept on disk."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest

from llm_service.domain import UpstreamError
from llm_service.routing import ProviderFigures
from llm_service.services.provider_news import NEWS_TOPIC
from llm_service.services.provider_probes import ACCOUNT_S, CATALOGUE_S, DOWN_S, FOLLOW_S, JITTER, LOOK_S
from tests.support.provider_service import INFO, Desk, ScriptedProvider
from tests.support.waiting import loop_turns

DOWN = UpstreamError("The provider's connection failed.")


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Desk]]:
    started: list[Desk] = []
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))  # one thing after the other

    def start(*providers: ScriptedProvider, **given: object) -> Desk:
        started.append(Desk(*(providers or (ScriptedProvider("one"),)), **given))  # type: ignore[arg-type]
        started[-1].probes.start()
        return started[-1]

    yield start
    for desk in started:
        await desk.tasks.aclose()
        assert desk.failures == []


async def passing(desk: Desk, seconds: float, *, step_s: float = LOOK_S / 4) -> None:
    """Let time pass, and all that falls due happen."""
    ends_at = desk.clock.monotonic() + seconds
    await settled()
    while (left_s := ends_at - desk.clock.monotonic()) > 0:
        desk.clock.advance(min(left_s, step_s))
        await settled()


async def settled() -> None:
    """Everything that needs no time has gone on, the thread that reads and writes included."""
    for _ in range(3):
        await loop_turns(5)
        await asyncio.to_thread(int)


def asked(desk: Desk, name: str = "one") -> tuple[int, int]:
    """How often for the catalogue, and for the account."""
    seen = desk.providers[name].asked
    return seen.count("catalogue"), seen.count("account")


async def test_both_are_asked_at_the_start_and_then_each_in_its_own_time(start: Callable[..., Desk]) -> None:
    desk = start()
    await passing(desk, FOLLOW_S)
    assert asked(desk) == (1, 1)
    await passing(desk, ACCOUNT_S * (1 - JITTER) - LOOK_S)
    assert asked(desk) == (1, 1)
    await passing(desk, CATALOGUE_S * (1 + JITTER) + 3 * LOOK_S)
    catalogues, accounts = asked(desk)
    assert catalogues == 2
    assert CATALOGUE_S / ACCOUNT_S * 0.85 < accounts < CATALOGUE_S / ACCOUNT_S * 1.35


async def test_one_that_is_down_is_asked_again_after_a_minute_until_it_answers(start: Callable[..., Desk]) -> None:
    desk = start(ScriptedProvider("one", says=DOWN))
    await passing(desk, FOLLOW_S + DOWN_S * (1 + JITTER) + 2 * LOOK_S)
    assert asked(desk) == (2, 2)
    desk.providers["one"].says = (INFO,)
    await passing(desk, DOWN_S * (1 + JITTER) + 2 * LOOK_S)
    again = asked(desk)
    assert again in ((3, 2), (3, 3)), "whichever was due first"
    await passing(desk, DOWN_S * 2)
    assert asked(desk) == again


async def test_what_failed_is_asked_again_after_a_minute_though_requests_succeed(start: Callable[..., Desk]) -> None:
    desk = start(ScriptedProvider("one", says=DOWN))
    desk.measures.by_provider["one"] = ProviderFigures(requests=5)
    await passing(desk, FOLLOW_S + DOWN_S * (1 + JITTER) + 2 * LOOK_S)
    assert asked(desk) == (2, 1)


async def test_one_that_is_switched_off_is_left_alone(start: Callable[..., Desk]) -> None:
    desk = start(enabled={"one": False})
    await passing(desk, 120)
    assert asked(desk) == (0, 0)
    await desk.states.put("one", "draining")
    await passing(desk, 2 * LOOK_S)
    assert asked(desk) == (1, 1)


async def test_one_without_an_account_is_asked_for_its_catalogue_alone(start: Callable[..., Desk]) -> None:
    desk = start(ScriptedProvider("one", tells_account=False))
    await passing(desk, ACCOUNT_S * 2)
    assert asked(desk) == (1, 0)


async def test_what_one_process_was_told_the_others_do_not_ask(start: Callable[..., Desk], tmp_path: Path) -> None:
    one = start(folder=tmp_path)
    other = start(beside=one, folder=tmp_path)
    await passing(one, ACCOUNT_S * 10)
    (catalogues, accounts), (more_catalogues, more_accounts) = asked(one), asked(other)
    assert (catalogues + more_catalogues) == 1
    assert accounts + more_accounts <= 13
    assert one.models.told("one", "m") == other.models.told("one", "m") == INFO
    assert one.health.report("one").verdict.condition == other.health.report("one").verdict.condition == "ok"


async def test_a_process_of_another_machine_asks_for_the_catalogue_itself(
    start: Callable[..., Desk], tmp_path: Path
) -> None:
    one = start(folder=tmp_path / "one")
    other = start(beside=one, folder=tmp_path / "other")
    await passing(one, FOLLOW_S / 2)
    assert (asked(one)[0], asked(other)[0]) == (1, 0)
    await passing(one, 2 * FOLLOW_S + 2 * LOOK_S)
    assert (asked(one)[0], asked(other)[0]) == (1, 1)
    assert one.models.told("one", "m") == other.models.told("one", "m") == INFO


async def test_a_process_that_follows_knows_at_once_what_is_on_the_disk(
    start: Callable[..., Desk], tmp_path: Path
) -> None:
    one = start(folder=tmp_path)
    await passing(one, FOLLOW_S)
    other = start(beside=one, folder=tmp_path)
    await settled()
    assert (other.models.told("one", "m"), asked(other)) == (INFO, (0, 0))


async def test_news_from_a_host_whose_clock_is_ahead_do_not_silence_this_one(start: Callable[..., Desk]) -> None:
    desk = start()
    ahead = {"provider": "one", "endpoint": "account", "at": desk.clock.time() + 10_000}
    await desk.bulletin.publish(NEWS_TOPIC, orjson.dumps(ahead).decode())
    await passing(desk, ACCOUNT_S * (1 + JITTER) + 2 * LOOK_S)
    assert asked(desk)[1] == 1


async def test_a_defect_is_told_and_no_end(start: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    desk = start()
    with monkeypatch.context() as broken:
        broken.setattr(desk.providers["one"], "account", lambda: 1 / 0)
        await passing(desk, FOLLOW_S)
    assert len(desk.log.of("a provider cannot be looked at")) == 1
    await passing(desk, 2 * LOOK_S)
    assert asked(desk)[1] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "nonsense",
        "{}",
        '{"provider": "one", "endpoint": "catalogue"}',
        '{"provider": "one", "endpoint": "secrets", "at": 1}',
        '{"provider": "one", "endpoint": "account", "at": 1, "other": 2}',
    ],
)
async def test_news_that_make_no_sense_are_left_alone(text: str) -> None:
    desk = Desk(ScriptedProvider("one"))
    await desk.bulletin.publish(NEWS_TOPIC, text)
    assert (desk.news.last("one", "catalogue"), desk.news.last("one", "account")) == (None, None)


async def test_news_that_cannot_be_told_hold_here(start: Callable[..., Desk]) -> None:
    desk = Desk(ScriptedProvider("one"))
    desk.bulletin.away = True
    await desk.probes.ask("one", "catalogue")
    assert desk.news.last("one", "catalogue") is not None


# -- the copies on disk


async def test_the_last_good_copy_serves_a_start_while_the_provider_is_away(tmp_path: Path) -> None:
    folder = tmp_path / "catalogues"
    await Desk(ScriptedProvider("one"), folder=folder).models.list()
    later = Desk(ScriptedProvider("one", says=(INFO,)), folder=folder)
    later.providers["one"].catalogue = failing  # type: ignore[method-assign]
    assert [entry.info.id for entry in await later.models.list()] == ["one/m"]
    later.clock.advance(CATALOGUE_S * 2)
    await later.models.refresh("one")
    assert [entry.info.id for entry in await later.models.list()] == ["one/m"]
    assert len(later.log.of("no catalogue")) == 1
    assert later.models.told("one", "m") == INFO


async def failing() -> bytes:
    raise DOWN


async def test_a_copy_is_private_and_alone(tmp_path: Path) -> None:
    folder = tmp_path / "catalogues"
    desk = Desk(ScriptedProvider("one"), folder=folder)
    for _ in range(2):
        await desk.models.refresh("one")
    assert os.listdir(folder) == ["one.json"]  # noqa: PTH208 - also what begins with a dot
    assert (folder.stat().st_mode & 0o777, (folder / "one.json").stat().st_mode & 0o777) == (0o700, 0o600)


GOOD = {"form": 1, "base_url": "http://127.0.0.1:1/one", "asked_at": 1.0, "catalogue": {"data": []}}


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (b"", 1),
        (b"\x00garbage", 1),
        (b"[1]", 1),
        (orjson.dumps(GOOD)[:-5], 1),
        (orjson.dumps({**GOOD, "form": 2}), 1),
        (orjson.dumps({**GOOD, "asked_at": "yesterday"}), 1),
        (orjson.dumps({**GOOD, "base_url": "http://127.0.0.1:2/elsewhere"}), 0),
    ],
)
async def test_what_is_no_copy_is_as_if_it_were_not_there(tmp_path: Path, kept: bytes, told: int) -> None:
    (tmp_path / "one.json").write_bytes(kept)
    desk = Desk(ScriptedProvider("one"), folder=tmp_path)
    desk.providers["one"].catalogue = failing  # type: ignore[method-assign]
    assert await desk.models.list() == []
    assert len(desk.log.of("kept catalogue left alone")) == told


async def test_a_disk_that_takes_nothing_is_told_and_the_catalogue_is_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    desk = Desk(ScriptedProvider("one"), folder=tmp_path / "file")
    assert [entry.info.id for entry in await desk.models.list()] == ["one/m"]
    assert len(desk.log.of("catalogue not kept")) == 1


async def test_models_of_a_provider_that_gets_no_requests_are_not_there() -> None:
    desk = Desk(ScriptedProvider("one"), ScriptedProvider("two"))
    await desk.states.put("one", "disabled")
    await desk.states.put("two", "draining")
    assert await desk.models.list() == []
    await desk.states.put("one", None)
    assert [entry.info.id for entry in await desk.models.list()] == ["one/m"]
