"""The answer of an exchange as it can be kept."""

from dataclasses import replace

from llm_service.domain import AnswerForm, KeptAnswer, Outcome, kinds_of
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
    whole = generation.whole
    form: AnswerForm
    pieces: tuple[bytes, ...]
    if whole is not None:
        form, pieces, kinds = "whole", (whole,), ""
    elif events := generation.events:
        form, pieces, kinds = "events", tuple([event.raw for event in events]), kinds_of(events)
    else:
        return None
    paid = followed or record
    return KeptAnswer(  # in the order of the fields: by their names it costs twice as much
        digest,
        form,
        pieces,
        kinds,
        generation.head,
        outcome.usage,
        outcome.finish_reason,
        outcome.upstream_id,
        outcome.response_model,
        paid.nano_usd,
        paid.cost_source,
        now,  # stored_at
        fresh_s,
        kept_s,
    )
