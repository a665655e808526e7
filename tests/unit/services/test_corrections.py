"""Corrections on their way into the ledger: written once, by one process, and told by the upkeep."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from llm_service.domain import LedgerUnavailable, UpstreamTimeout
from llm_service.ledger import Ledger, verify
from llm_service.providers import GenerationRecord, Provider
from llm_service.runtime import Tasks
from llm_service.services import Corrections, ProviderProbes, Reconciler, Turn, Upkeep, corrected_object
from llm_service.services.upkeep import CORRECT_S, REMOVE_S, REMOVED_AT_ONCE
from tests.support.clock import ManualClock
from tests.support.ledger_entries import a_ledger
from tests.support.memory_ledger import MemoryLedger
from tests.support.memory_replays import MemoryReplays
from tests.support.records import record
from tests.support.service import LogLines
from tests.support.waiting import until
from tests.unit.services.test_turn import Facts

BILLED = GenerationRecord(cost_usd=Decimal("0.000003"), input_tokens=90, output_tokens=10)


class Billing:
    """A provider that billed the same for everything, or fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None

    async def generation(self, upstream_id: str) -> GenerationRecord | None:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return BILLED if upstream_id != "gen-unknown" else None


class Place:
    """One process that corrects, on a ledger in memory."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.clock = clock
        self.store = MemoryLedger()
        self.facts = Facts()
        self.replays = MemoryReplays()
        self.billing = Billing()
        self.log = LogLines()
        self.ledger: Ledger = a_ledger(folder, store=self.store, clock=clock)

    def corrections(self, holder: str = "host-a1") -> Corrections:
        providers = cast("Mapping[str, Provider]", {"openrouter": self.billing})
        return Corrections(
            Reconciler(ledger=self.store, providers=providers, clock=self.clock, log=self.log),
            self.ledger,
            Turn(self.facts, name=Corrections.TURN, holder=holder, clock=self.clock),
            providers=["openrouter"],
        )

    def upkeep(self, probes: "Probed", *, tasks: Tasks) -> Upkeep:
        parts = (cast("ProviderProbes", probes), self.corrections(), self.replays)
        return Upkeep(*parts, tasks=tasks, clock=self.clock, log=self.log)

    async def keep(self, request_id: str, **fields: Any) -> None:
        guess = {"provider": "openrouter", "upstream_id": f"gen-{request_id}", "cost_source": "estimate"}
        began = self.clock.now() - timedelta(minutes=1)
        self.ledger.close(record(request_id, **{**guess, "at": began, "nano_usd": 5_000, **fields}))
        await self.ledger.flush()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path, ManualClock())
    yield place
    await place.ledger.aclose()


async def test_estimates_and_unpriced_requests_are_corrected_once(place: Place) -> None:
    await place.keep("req_1")
    await place.keep("req_2", cost_source="none", nano_usd=0)
    await place.keep("req_3", upstream_id="gen-unknown")
    first = await place.corrections().round()
    assert first is not None
    assert corrected_object(first["openrouter"]) == {
        "corrections": 2, "unknown": 1, "estimated_usd": "0.000005", "billed_usd": "0.000006", "cost_ratio": 0.8333,
        "estimated_tokens": 240, "billed_tokens": 200, "token_ratio": 1.2,
    }  # fmt: skip
    again = await place.corrections().round()
    assert again is not None
    assert (again["openrouter"].written, len(place.store.rows)) == (0, 5)
    assert (await verify(place.store)).sound


async def test_more_estimates_than_are_asked_for_at_once_are_all_corrected(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_service.services.corrections.AT_ONCE", 2)
    for number in range(5):
        await place.keep(f"req_{number}")
    done = await place.corrections().round()
    assert done is not None
    assert (done["openrouter"].written, done["openrouter"].drift.records) == (5, 5)


async def test_while_another_process_is_at_it_nothing_is_asked(place: Place) -> None:
    await place.keep("req_1")
    async with Turn(place.facts, name=Corrections.TURN, holder="host-b2", clock=place.clock).taken():
        assert await place.corrections().round() is None
    assert place.billing.asked == 0


async def test_a_database_that_is_away_is_told(place: Place) -> None:
    place.store.away = True
    with pytest.raises(LedgerUnavailable):
        await place.corrections().round()
    place.store.away = False


async def test_a_provider_that_fails_leaves_its_estimates_for_later(place: Place) -> None:
    await place.keep("req_1")
    place.billing.failure = UpstreamTimeout("Too late.")
    done = await place.corrections().round()
    assert done is not None
    assert done["openrouter"].written == 0


class Probed:
    """Whoever asks the providers, without asking."""

    def __init__(self) -> None:
        self.started = 0

    def start(self) -> None:
        self.started += 1


async def test_the_upkeep_has_providers_looked_at_at_once_and_corrects_after_ten_minutes(place: Place) -> None:
    await place.keep("req_1")
    failures: list[BaseException] = []
    tasks = Tasks(lambda work, failure: failures.append(failure))
    probes = Probed()
    place.upkeep(probes, tasks=tasks).start()
    await until(lambda: place.clock.timers == 2)
    assert (probes.started, place.billing.asked) == (1, 0)
    place.clock.advance(CORRECT_S)
    await until(lambda: place.log.of("estimates corrected"))
    (told,) = place.log.of("estimates corrected")
    assert (told["provider"], told["corrections"]) == ("openrouter", 1)
    await tasks.aclose()
    assert failures == []


async def test_the_upkeep_says_nothing_loud_while_the_database_is_away(place: Place) -> None:
    place.store.away = True
    tasks = Tasks(lambda work, failure: None)
    place.upkeep(Probed(), tasks=tasks).start()
    await until(lambda: place.clock.timers == 2)
    place.clock.advance(CORRECT_S)
    await until(lambda: place.log.of("estimates are not corrected"))
    assert {line["level"] for line in place.log.of("estimates are not corrected")} == {"debug"}
    await tasks.aclose()
    place.store.away = False


async def test_the_upkeep_removes_all_expired_answers_every_ten_minutes(place: Place) -> None:
    now = place.clock.now()
    for number in range(2 * REMOVED_AT_ONCE + 1):
        fields = {"fingerprint": b"f", "request_id": "req_1", "holder": "host-a1"}
        expires_at = now + timedelta(seconds=REMOVE_S + (number == 0))
        await place.replays.begin("key:1", f"k{number}", **fields, now=now, expires_at=expires_at)
    tasks = Tasks(lambda work, failure: None)
    place.upkeep(Probed(), tasks=tasks).start()
    await until(lambda: place.clock.timers == 2)
    place.clock.advance(REMOVE_S)
    await until(lambda: place.log.of("expired answers removed"))
    assert list(place.replays.held) == [("key:1", "k0")]
    await until(lambda: place.clock.timers == 2)
    place.replays.away = True
    place.clock.advance(REMOVE_S)
    await until(lambda: place.log.of("expired answers are not removed"))
    assert "replays" not in [line["work"] for line in place.log.of("upkeep failed")]
    await until(lambda: place.clock.timers == 2)
    place.replays.away = False
    place.clock.advance(REMOVE_S)
    await until(lambda: not place.replays.held)
    await tasks.aclose()
