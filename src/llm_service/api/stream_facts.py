"""What is told of a stream beside its events, in the same words through every door."""

from typing import Any

from llm_service.domain import Head, usd_text
from llm_service.streams import Stream


def closing_facts(stream: Stream, head: Head | None) -> dict[str, Any]:
    """What only the end knows: who answered at last, what it cost, as far as that is known.

    ``head``: of the reply that is read, where the stream has none of its own.
    """
    facts: dict[str, Any] = {"request_id": stream.request_id, "stream_id": stream.id}
    if (known := stream.head or head) is not None:
        facts |= {"provider": known.provider, "model": known.upstream_model, "attempts": stream.attempts}
    facts["cache"] = stream.cache
    if stream.nano_usd is not None:
        facts |= {"cost_usd": usd_text(stream.nano_usd), "cost_source": stream.cost_source}
    return facts
