"""What operators do, for the log: who did what, on what, from where, and what came of it."""

from collections.abc import Iterable
from typing import Final

from llm_service.domain import Caller
from llm_service.observability import Log

EVENT: Final = "admin"
DONE: Final = "ok"
MOST_CHARS: Final = 200
MOST_NAMES: Final = 32


def tell_act(
    log: Log,
    act: str,
    *,
    caller: Caller,
    request_id: str,
    peer: str | None,
    on: object = None,
    fields: Iterable[str] = (),
    outcome: str = DONE,
) -> None:
    """One line. ``act``: the route or the mutation; ``on``: what it was done to; ``fields``: the names of what was
    given, never the values; ``outcome``: ``ok``, or the code of the error."""
    facts: dict[str, object] = {"act": act, "outcome": outcome, "key_id": caller.key_id, "peer": peer}
    if on:
        facts["on"] = str(on)[:MOST_CHARS]
    if named := sorted(fields)[:MOST_NAMES]:
        facts["fields"] = [name[:MOST_CHARS] for name in named]
    log.info(EVENT, request_id=request_id, **facts)
