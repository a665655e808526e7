"""Corrections of estimates: the sum is what was billed, once, and the drift is told."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import UpstreamTimeout, UsageRecord
from llm_service.providers import GenerationRecord, Provider
from llm_service.services import Reconciled, Reconciler, correction
from llm_service.storage import ChainLink, LedgerRow, LedgerStore
from tests.support.clock import ManualClock
from tests.support.service import LogLines

CLOCK = ManualClock()
LONG_AGO = CLOCK.now() - timedelta(minutes=5)
TOKENS = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
BILLED = GenerationRecord(
    cost_usd=Decimal("0.0042762"), input_tokens=1412, output_tokens=187, cached_input_tokens=1024, reasoning_tokens=0
)


def a_record(number: int = 1, **fields: Any) -> UsageRecord:
    return UsageRecord(
        **{
            "request_id": f"req_{number}", "stream_id": None, "at": LONG_AGO, "key_id": "key_1", "user": "u",
            "tags": MappingProxyType({"team": "tides"}), "surface": "rest", "model": "fast", "provider": "openrouter",
            "upstream_model": "a/b", "upstream_id": f"gen-{number}", "input_tokens": 1500, "output_tokens": 200,
            "cached_input_tokens": 0, "reasoning_tokens": 90, "nano_usd": 5_000_000, "cost_source": "estimate",
            "status": "aborted", "duration_ms": 12.5, "price_date": "2026-11-25", **fields,
        }
    )  # fmt: skip


class Ledger:
    """A ledger as far as estimates go: takes each request id once."""

    def __init__(self, *records: UsageRecord) -> None:
        self.records = {record.request_id: record for record in records}

    async def estimates(self, provider: str, *, since: datetime, count: int) -> Sequence[LedgerRow]:
        adjusted = {record.adjusts for record in self.records.values()}
        found = [
            record
            for record in self.records.values()
            if record.cost_source == "estimate" and record.request_id not in adjusted and record.at >= since
        ]
        link = ChainLink(writer="w", seq=1, previous="", hash="")
        return [LedgerRow(record=record, link=link) for record in found[:count]]

    def append(self, records: Sequence[UsageRecord]) -> None:
        for record in records:
            self.records.setdefault(record.request_id, record)

    def sums(self) -> Mapping[str, int]:
        return {name: sum(getattr(one, name) for one in self.records.values()) for name in (*TOKENS, "nano_usd")}


class Billing:
    """A provider that knows what it billed, or fails."""

    def __init__(self, told: Mapping[str, GenerationRecord | Exception]) -> None:
        self.told = told
        self.asked: list[str] = []

    async def generation(self, upstream_id: str) -> GenerationRecord | None:
        self.asked.append(upstream_id)
        told = self.told.get(upstream_id)
        if isinstance(told, Exception):
            raise told
        return told


async def reconciled(ledger: Ledger, billing: Billing, log: LogLines | None = None) -> Reconciled:
    providers = cast("Mapping[str, Provider]", {"openrouter": billing})
    reconciler = Reconciler(ledger=cast("LedgerStore", ledger), providers=providers, clock=CLOCK, log=log or LogLines())
    return await reconciler.reconcile("openrouter")


async def test_record_and_correction_are_together_what_was_billed() -> None:
    ledger = Ledger(a_record())
    result = await reconciled(ledger, Billing({"gen-1": BILLED}))
    ledger.append(result.corrections)
    billed = {"input_tokens": 1412, "output_tokens": 187, "cached_input_tokens": 1024, "reasoning_tokens": 0}
    assert ledger.sums() == {**billed, "nano_usd": 4_276_200}


async def test_a_correction_counts_for_the_same_moment_key_and_tags_and_for_no_request_of_its_own() -> None:
    record = a_record()
    (corrected,) = (await reconciled(Ledger(record), Billing({"gen-1": BILLED}))).corrections
    assert (corrected.adjusts, corrected.request_id) == ("req_1", "req_1.billed")
    assert corrected.cost_source == "provider"
    same = ("at", "key_id", "user", "tags", "model", "provider", "upstream_id", "status")
    assert [getattr(corrected, name) for name in same] == [getattr(record, name) for name in same]
    assert (corrected.attempts, corrected.duration_ms, corrected.price_date) == (0, None, None)


async def test_a_correction_saves_nothing_again_and_stays_where_its_request_is_counted() -> None:
    corrected = correction(a_record(cache="miss", cache_key="ab" * 16, saved_nano_usd=9), BILLED)
    assert (corrected.cache, corrected.cache_key, corrected.saved_nano_usd) == ("miss", "ab" * 16, 0)


async def test_reconciling_again_changes_nothing() -> None:
    ledger, billing = Ledger(a_record(1), a_record(2)), Billing({"gen-1": BILLED, "gen-2": BILLED})
    first, twin = await reconciled(ledger, billing), await reconciled(ledger, billing)
    ledger.append(first.corrections)
    after = ledger.sums()
    ledger.append(twin.corrections)
    again = await reconciled(ledger, billing)
    assert (ledger.sums(), again.corrections) == (after, [])


async def test_a_confirmed_estimate_is_no_estimate_any_more() -> None:
    told = {name: getattr(a_record(), name) for name in TOKENS}
    ledger = Ledger(a_record())
    result = await reconciled(ledger, Billing({"gen-1": GenerationRecord(cost_usd=Decimal("0.005"), **told)}))
    assert {getattr(result.corrections[0], name) for name in (*TOKENS, "nano_usd")} == {0}
    ledger.append(result.corrections)
    assert (await reconciled(ledger, Billing({}))).unknown == 0


async def test_what_the_provider_does_not_tell_stays_as_estimated() -> None:
    (corrected,) = (
        await reconciled(Ledger(a_record()), Billing({"gen-1": GenerationRecord(cost_usd=Decimal(0))}))
    ).corrections
    assert [getattr(corrected, name) for name in TOKENS] == [0, 0, 0, 0]
    assert corrected.nano_usd == -5_000_000


async def test_records_that_are_not_there_yet_are_asked_for_again() -> None:
    ledger, billing = Ledger(a_record(1), a_record(2)), Billing({"gen-2": BILLED})
    result = await reconciled(ledger, billing)
    assert (len(result.corrections), result.unknown) == (1, 1)
    billing.told = {"gen-1": BILLED, "gen-2": BILLED}
    ledger.append(result.corrections)
    assert [one.adjusts for one in (await reconciled(ledger, billing)).corrections] == ["req_1"]


@pytest.mark.parametrize("age", [timedelta(seconds=1), timedelta(days=3)])
async def test_what_has_just_ended_and_what_is_old_is_not_asked_for(age: timedelta) -> None:
    billing = Billing({"gen-1": BILLED})
    await reconciled(Ledger(a_record(at=CLOCK.now() - age)), billing)
    assert billing.asked == []


async def test_a_provider_that_fails_ends_the_round_and_what_is_known_counts() -> None:
    log = LogLines()
    billing = Billing({"gen-1": BILLED, "gen-2": UpstreamTimeout("Too late."), "gen-3": BILLED})
    result = await reconciled(Ledger(a_record(1), a_record(2), a_record(3)), billing, log)
    assert ([one.adjusts for one in result.corrections], billing.asked) == (["req_1"], ["gen-1", "gen-2"])
    assert log.of("no generation record")


async def test_drift_says_how_far_the_estimates_were_off() -> None:
    drift = (await reconciled(Ledger(a_record(1), a_record(2)), Billing({"gen-1": BILLED}))).drift
    assert (drift.records, drift.estimated_nano_usd, drift.billed_nano_usd) == (1, 5_000_000, 4_276_200)
    assert drift.cost_ratio == pytest.approx(1.1693, abs=1e-4)
    assert drift.token_ratio == pytest.approx(1700 / 1599)


async def test_no_drift_is_told_where_nothing_was_billed() -> None:
    drift = (await reconciled(Ledger(), Billing({}))).drift
    assert (drift.cost_ratio, drift.token_ratio) == (None, None)


counts = st.integers(0, 10**9)


@given(
    st.fixed_dictionaries(dict.fromkeys(TOKENS, counts)), st.fixed_dictionaries(dict.fromkeys(TOKENS, counts)), counts
)
def test_any_estimate_and_its_correction_give_what_was_billed(
    estimated: dict[str, int], told: dict[str, int], nano: int
) -> None:
    record = replace(a_record(), **estimated)
    corrected = correction(record, GenerationRecord(cost_usd=Decimal(nano) / 10**9, **told))
    assert {name: getattr(record, name) + getattr(corrected, name) for name in TOKENS} == told
    assert record.nano_usd + corrected.nano_usd == nano
