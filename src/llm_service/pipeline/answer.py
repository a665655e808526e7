"""The answer of an exchange as it can be kept."""

from dataclasses import replace

from llm_service.domain import KeptAnswer, Outcome, kinds_of
from llm_service.pipeline.base import Exchange


def answer_of(
    exchange: Exchange, outcome: Outcome, *, digest: bytes, now: float, fresh_s: float = 0.0, kept_s: float = 0.0
) -> KeptAnswer | None:
    """What its client got: made for it, or given to it. ``None`` where there is no whole of it. ``now``: Unix seconds.

    Call it when the record is closed, which says what the answer cost.
    """
    kept, followed, record = exchange.kept, exchange.followed, exchange.record
    generation = exchange.generation or followed
    if kept is not None:
        return replace(kept, digest=digest, fresh_s=fresh_s, kept_s=kept_s)
    if generation is None or generation.head is None or record is None:
        return None
    whole, events = generation.whole, generation.events
    if whole is None and not events:
        return None
    return KeptAnswer(
        digest=digest,
        form="events" if whole is None else "whole",
        pieces=tuple([event.raw for event in events or ()]) if whole is None else (whole,),
        kinds=kinds_of(events or ()) if whole is None else "",
        head=generation.head,
        usage=outcome.usage,
        finish_reason=outcome.finish_reason,
        upstream_id=outcome.upstream_id,
        response_model=outcome.response_model,
        nano_usd=(followed or record).nano_usd,
        cost_source=(followed or record).cost_source,
        stored_at=now,
        fresh_s=fresh_s,
        kept_s=kept_s,
    )
