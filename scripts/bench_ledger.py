"""What the ledger costs a request: an intent and a close, each one write, with the thread that synchronises at work."""

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from llm_service.domain import Intent, Usage, UsageRecord
from llm_service.ledger import Ledger, LedgerOptions
from llm_service.observability import ObservabilityOptions, build_log
from llm_service.runtime import SystemClock, system_random
from llm_service.storage import LedgerRow, LedgerStore

LIMIT_US = 30.0
BATCH = 100
BATCHES = 200


class Sink:
    """A store that keeps nothing."""

    async def append(self, rows: Sequence[LedgerRow]) -> Sequence[int]:
        return range(len(rows))

    async def seals(self, _writer: str) -> Sequence[Any]:
        return ()

    async def seal(self, _seal: Any) -> None:
        return None

    async def remove_sealed(self, *, before: datetime) -> int:
        return 0

    async def remove_hours(self, *, before: datetime) -> int:
        return 0


class Nobody:
    """Whom nothing is told: nothing is adopted here."""

    async def settled(self, **facts: Any) -> None:
        raise RuntimeError(f"nothing is adopted here: {facts}")

    async def told_all(self, **facts: Any) -> None:
        raise RuntimeError(f"nothing is adopted here: {facts}")


def report(name: str, failure: BaseException) -> None:
    raise RuntimeError(name) from failure


def request(number: int) -> tuple[Intent, UsageRecord]:
    known: dict[str, Any] = {
        "request_id": f"req_{number:026x}",
        "stream_id": f"stream_{number:026x}",
        "at": datetime(2026, 11, 25, 8, 30, 12, 345678, tzinfo=UTC),
        "key_id": "key_0000000000000000000000001",
        "user": "somebody@example.com",
        "tags": {"team": "search"},
        "surface": "rest",
        "model": "fast",
        "provider": "deepseek",
        "upstream_model": "deepseek-flash",
    }
    record = UsageRecord(
        **known,
        upstream_id="gen-1732522212-abcdefghijklmnop",
        input_tokens=1200,
        output_tokens=340,
        cached_input_tokens=1024,
        reasoning_tokens=0,
        nano_usd=612_400,
        cost_source="catalog",
        status="ok",
        queue_ms=0.125,
        first_chunk_ms=312.5,
        duration_ms=2312.75,
        overhead_ms=0.75,
    )
    return Intent(**known, held=Usage(input_tokens=1200, output_tokens=4096), nano_usd=2_000_000), record


async def costs_us(data_dir: Path) -> Sequence[float]:
    """Cost of a request's two entries in CPU of the serving thread, mean of each batch: neighbours only ever add."""
    clock = SystemClock()
    ledger = Ledger(
        data_dir,
        writer="bench",
        store=cast(LedgerStore, Sink()),
        options=LedgerOptions(),
        clock=clock,
        dice=system_random(),
        log=build_log(ObservabilityOptions(), clock=clock),
        on_lost=Nobody(),
        on_failure=report,
    )
    ledger.start()
    costs = []
    for batch in range(BATCHES):
        requests = [request(batch * BATCH + number) for number in range(BATCH)]
        begun = time.thread_time()
        for intent, record in requests:
            ledger.open(intent)
            ledger.close(record)
        costs.append((time.thread_time() - begun) / BATCH * 1e6)
        await asyncio.sleep(0.001)
    await ledger.aclose()
    return costs


def main() -> int:
    gc.disable()
    with tempfile.TemporaryDirectory() as folder:
        costs = sorted(asyncio.run(costs_us(Path(folder))))
    least_us, median_us = costs[0], costs[len(costs) // 2]
    verdict = "within" if least_us <= LIMIT_US else "beyond"
    print(f"open and close: {least_us:.1f} µs (median {median_us:.1f}), {verdict} the limit of {LIMIT_US} µs")
    return 0 if least_us <= LIMIT_US else 1


if __name__ == "__main__":
    sys.exit(main())
