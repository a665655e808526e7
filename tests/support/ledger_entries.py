"""Intents, records and ledgers as the tests of the ledger want them: figures follow from a number."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from llm_service.domain import NO_TAGS, Intent, Settlement, Tried, Usage, UsageRecord
from llm_service.ledger import Ledger, LedgerOptions, OnLost
from llm_service.runtime import Clock
from llm_service.storage import LedgerStore

MORNING = datetime(2026, 11, 25, 8, tzinfo=UTC)


def an_intent(number: int = 1, **changes: Any) -> Intent:
    """The intent of request ``number``; it holds 1000 + number tokens and as many micro-USD."""
    intent = Intent(
        request_id=f"req_{number:08d}",
        stream_id=None,
        at=MORNING + timedelta(milliseconds=number),
        key_id="key_1",
        user="jo",
        tags=NO_TAGS,
        surface="rest",
        model="fast",
        provider="deepseek",
        upstream_model="deepseek-flash",
        held=Usage(input_tokens=1000, output_tokens=number),
        nano_usd=(1000 + number) * 1000,
    )
    return replace(intent, **changes)


def a_record(number: int = 1, **changes: Any) -> UsageRecord:
    """The record of request ``number``; it used ``number`` output tokens and as many nano-USD."""
    record = UsageRecord(
        request_id=f"req_{number:08d}",
        stream_id=None,
        at=MORNING + timedelta(milliseconds=number),
        key_id="key_1",
        user="jo",
        tags={"team": "blue", "app": "chat"},
        surface="rest",
        model="fast",
        provider="deepseek",
        upstream_model="deepseek-flash",
        upstream_id=f"gen-{number}",
        input_tokens=10,
        output_tokens=number,
        cached_input_tokens=3,
        reasoning_tokens=0,
        nano_usd=number,
        cost_source="provider",
        status="ok",
        queue_ms=0.25,
        first_chunk_ms=12.5,
        duration_ms=100,
        overhead_ms=0.3125,
    )
    return replace(record, **changes)


def a_retried_record(number: int = 1, **changes: Any) -> UsageRecord:
    """The same record of a request whose first attempt failed, and cost ``number`` nano-USD that nobody got."""
    failed = Tried(
        provider="openrouter",
        upstream_model="deepseek/deepseek-flash",
        error_code="upstream_error",
        duration_ms=0.0,
        nano_usd=number,
    )
    answered = Tried(provider="deepseek", upstream_model="deepseek-flash", duration_ms=12.25)
    return a_record(number, attempts=2, tries=(failed, answered), wasted_nano_usd=number, **changes)


def what_is_closed(number: int) -> UsageRecord:
    """The record that a process of the crash tests writes for request ``number``: some were retried."""
    return a_retried_record(number) if number % 3 == 0 else a_record(number)


class SilentLog:
    """Keeps what was said, as (event, facts)."""

    def __init__(self) -> None:
        self.said = list[tuple[str, dict[str, Any]]]()

    def debug(self, event: str, **facts: Any) -> None:
        self.said.append((event, facts))

    info = warning = error = debug

    def events(self) -> list[str]:
        return [event for event, _ in self.said]


class Settled:
    """Hears of settled requests; ``failures``: what it raises first, one a call."""

    def __init__(self) -> None:
        self.intents = dict[str, Intent | None]()
        self.marks = dict[str, int]()
        self.told = list[str]()
        self.heard = dict[tuple[str, str], Settlement]()
        self.failures = list[Exception]()

    async def settled(
        self, *, holder: str, request_id: str, settlement: Settlement, intent: Intent | None, mark: int
    ) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.heard[holder, request_id] = settlement
        self.intents[request_id] = intent
        self.marks[request_id] = mark

    async def told_all(self, *, holder: str) -> None:
        self.told.append(holder)


def a_ledger(
    data_dir: Path,
    *,
    store: LedgerStore,
    clock: Clock,
    writer: str = "host-a1",
    options: LedgerOptions | None = None,
    log: SilentLog | None = None,
    on_lost: OnLost | None = None,
) -> Ledger:
    """A ledger that is not started: nothing happens by itself."""

    def failed(work: str, failure: BaseException) -> None:
        raise AssertionError(work) from failure

    return Ledger(
        data_dir,
        writer=writer,
        store=store,
        options=options or LedgerOptions(),
        clock=clock,
        dice=random.Random(1),
        log=log or SilentLog(),
        on_lost=on_lost or Settled(),
        on_failure=failed,
    )
