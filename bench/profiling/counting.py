"""Counts the calls of each scenario, exactly: the same code makes the same number on any machine, however busy."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench.profiling.conversation import Conversation, Upstream
from bench.profiling.parts import TIMERS
from bench.profiling.service import Service, watched

Counts = Mapping[tuple[str, str], int]
"""Calls by part and function."""
SHORT: Final = 2
"""Chunks of the streams whose calls are subtracted from those of longer ones."""
BATCHES: Final = 2
WARM: Final = 8
IDLE_S: Final = 2.0
SHIPPED_S: Final = 0.6
"""In which the records of a batch have reached the database, some time after their requests have been answered."""


def count_calls(*, requests: int = 60, chunks: int = 40) -> dict[str, Counts]:
    """The calls of one request or chunk, by scenario."""
    upstream = Upstream()
    try:
        with (
            watched("calls", upstream_port=upstream.port) as service,
            Conversation(
                upstream, pid=service.pid, port=service.port, keys=(service.key, service.exhausted_key)
            ) as conversation,
        ):
            return counted(service, conversation, requests=requests, chunks=chunks)
    finally:
        upstream.close()


def counted(service: Service, conversation: Conversation, *, requests: int, chunks: int) -> dict[str, Counts]:
    conversation.whole("kept")
    conversation.exhaust()
    for _ in range(WARM):
        conversation.whole()
    idle = idle_rates(service)

    def each(once: Callable[[], None], times: int = requests) -> Counts:
        for _ in range(WARM):
            once()
        return least([batch(service, once, times, idle) for _ in range(BATCHES)])

    streams = max(2, requests // 8)
    short, long = (each(lambda n=n: conversation.stream(n), streams) for n in (SHORT, SHORT + chunks))  # type: ignore[misc]
    return {
        "pass-through": each(conversation.whole),
        "stream chunk": {what: round((count - short.get(what, 0)) / chunks) for what, count in long.items()},
        "cache hit": each(conversation.hit),
        "refusal": each(conversation.refusal),
    }


def idle_rates(service: Service) -> Mapping[tuple[str, str], float]:
    """What timers call in a second while nobody asks for anything."""
    time.sleep(SHIPPED_S)
    begun = time.monotonic()
    with service.watching() as found:
        time.sleep(IDLE_S)
    taken = time.monotonic() - begun
    return {(part, function): count / taken for part, function, count in found["calls"]}


def batch(
    service: Service, once: Callable[[], None], times: int, idle: Mapping[tuple[str, str], float]
) -> dict[tuple[str, str], int]:
    """What is called for each of so many requests, records' way into the database included; timers' calls are not."""
    time.sleep(SHIPPED_S)
    begun = time.monotonic()
    with service.watching() as found:
        for _ in range(times):
            once()
        time.sleep(SHIPPED_S)
    taken = time.monotonic() - begun
    return {
        (part, function): max(0, round((count - idle.get((part, function), 0.0) * taken) / times))
        for part, function, count in found["calls"]
    }


def least(batches: Sequence[Counts]) -> Counts:
    """Of each function the fewest calls of any batch: what else goes on in the process only ever adds."""
    return {what: min(counts.get(what, 0) for counts in batches) for what in batches[0]}


def by_part(counts: Counts) -> dict[str, int]:
    """Calls of each part; those of timers are left out."""
    summed: Counter[str] = Counter()
    for (part, _), count in counts.items():
        summed[part] += count
    del summed[TIMERS]
    return dict(+summed)
