"""Puts what a provider says afterwards in place of estimates: a further record with the differences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from llm_service.domain import LLMServiceError, UsageRecord, fact, nano_usd
from llm_service.observability import Log
from llm_service.providers import GenerationRecord, Provider
from llm_service.runtime import Clock
from llm_service.storage import LedgerStore

LOOK_BACK: Final = timedelta(days=2)
"""Estimates that are older stay as they are: the provider does not know them, or will not tell."""
SETTLED_AFTER: Final = timedelta(seconds=10)
"""Providers write their records some seconds after the end."""


@fact
class Drift:
    """How far estimates were from what was billed, over the records that were compared."""

    records: int = 0
    estimated_nano_usd: int = 0
    billed_nano_usd: int = 0
    estimated_tokens: int = 0
    billed_tokens: int = 0

    def __add__(self, other: "Drift") -> "Drift":
        """Of the records of both."""
        return Drift(
            records=self.records + other.records,
            estimated_nano_usd=self.estimated_nano_usd + other.estimated_nano_usd,
            billed_nano_usd=self.billed_nano_usd + other.billed_nano_usd,
            estimated_tokens=self.estimated_tokens + other.estimated_tokens,
            billed_tokens=self.billed_tokens + other.billed_tokens,
        )

    @property
    def cost_ratio(self) -> float | None:
        """Estimated money for each billed; ``None`` where nothing was billed."""
        return self.estimated_nano_usd / self.billed_nano_usd if self.billed_nano_usd else None

    @property
    def token_ratio(self) -> float | None:
        """Estimated tokens for each billed; ``None`` where none were billed."""
        return self.estimated_tokens / self.billed_tokens if self.billed_tokens else None


@fact
class Reconciled:
    """The corrections to append, and the drift that they show. ``unknown``: records that the provider has not yet."""

    corrections: Sequence[UsageRecord]
    drift: Drift
    unknown: int


class Reconciler:
    """Asks providers about estimated records. Writes nothing: the corrections are for the caller to append.

    Idempotent: a correction has an id that follows from its record's, so that the ledger takes it once, whoever and
    however often appends it; and a record that has one is no estimate any more.
    """

    def __init__(self, *, ledger: LedgerStore, providers: Mapping[str, Provider], clock: Clock, log: Log) -> None:
        self._ledger = ledger
        self._providers = providers
        self._clock = clock
        self._log = log

    async def reconcile(self, provider: str, *, count: int = 100) -> Reconciled:
        """Corrections for up to ``count`` estimates of a provider; one that fails ends the round with what is known.

        Raises StoreUnavailable.
        """
        now = self._clock.now()
        rows = await self._ledger.estimates(provider, since=now - LOOK_BACK, count=count)
        settled = [row.record for row in rows if row.record.at <= now - SETTLED_AFTER]
        pairs: list[tuple[UsageRecord, GenerationRecord]] = []
        unknown = 0
        for record in settled:
            try:
                billed = await self._ask(provider, record)
            except LLMServiceError as error:
                self._log.warning("no generation record", provider=provider, error_code=error.code, error=error.message)
                break
            if billed is None:
                unknown += 1
            else:
                pairs.append((record, billed))
        corrections = [correction(record, billed) for record, billed in pairs]
        return Reconciled(corrections=corrections, drift=_drift(pairs, corrections), unknown=unknown)

    async def _ask(self, provider: str, record: UsageRecord) -> GenerationRecord | None:
        asked = self._providers.get(provider)
        return None if asked is None or record.upstream_id is None else await asked.generation(record.upstream_id)


def correction(record: UsageRecord, billed: GenerationRecord) -> UsageRecord:
    """The record that, added to an estimated one, gives what was billed; what the provider does not tell stays.

    It counts for the same moment, key and tags, and is made even of no difference: then the estimate is confirmed.
    """
    return replace(
        record,
        request_id=f"{record.request_id}.billed",
        adjusts=record.request_id,
        input_tokens=_difference(billed.input_tokens, record.input_tokens),
        output_tokens=_difference(billed.output_tokens, record.output_tokens),
        cached_input_tokens=_difference(billed.cached_input_tokens, record.cached_input_tokens),
        reasoning_tokens=_difference(billed.reasoning_tokens, record.reasoning_tokens),
        nano_usd=nano_usd(billed.cost_usd) - record.nano_usd,
        cost_source="provider",
        price_date=None,
        saved_nano_usd=0,
        attempts=0,
        tries=(),
        verdicts=(),
        wasted_nano_usd=0,
        queue_ms=None,
        first_chunk_ms=None,
        duration_ms=None,
        overhead_ms=None,
    )


def _difference(billed: int | None, estimated: int) -> int:
    return 0 if billed is None else billed - estimated


def _drift(pairs: Iterable[tuple[UsageRecord, GenerationRecord]], corrections: Sequence[UsageRecord]) -> Drift:
    records = [record for record, _ in pairs]
    money = sum(record.nano_usd for record in records)
    tokens = sum(record.input_tokens + record.output_tokens for record in records)
    return Drift(
        records=len(records),
        estimated_nano_usd=money,
        billed_nano_usd=money + sum(one.nano_usd for one in corrections),
        estimated_tokens=tokens,
        billed_tokens=tokens + sum(one.input_tokens + one.output_tokens for one in corrections),
    )
