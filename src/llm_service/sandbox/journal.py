"""What the simulated upstreams received and how each exchange ended, for tests to look at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import orjson

from llm_service.sandbox.messages import Ending, Json, Request
from llm_service.sandbox.money import Price

MAX_ENTRIES: Final = 2000
MAX_BODY_BYTES: Final = 256 * 1024

OPEN: Final = "open"


@dataclass(slots=True)
class Entry:
    """One exchange; large bodies are not kept. Token counts grow with a stream: they are what the provider bills."""

    serial: int
    at: float
    request: Request
    provider: str
    path: str
    body_bytes: int
    model: str = ""
    stream: bool = False
    status: int = 0
    state: str = OPEN
    behaviour: str = ""
    upstream_id: str = ""
    chunks: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    price: Price | None = None
    ended_at: float | None = None

    @property
    def cost_usd(self) -> Decimal:
        """What has been generated, at the model's price; an answer that never began costs nothing."""
        if self.price is None or not self.output_tokens:
            return Decimal(0)
        prompt = self.price.prompt_usd(self.input_tokens, self.cached_tokens)
        return prompt + self.price.completion_usd(self.output_tokens)

    @classmethod
    def of(cls, request: Request, *, serial: int, at: float, provider: str) -> Entry:
        """A new exchange."""
        size = len(request.body)
        kept = request if size <= MAX_BODY_BYTES else replace(request, body=b"")
        return cls(serial, at, kept, provider, request.path, size)

    def describe(self) -> Json:
        """As `GET /_requests` shows it."""
        return {
            "serial": self.serial,
            "at": self.at,
            "ended_at": self.ended_at,
            "provider": self.provider,
            "method": self.request.method,
            "path": self.request.path,
            "query": dict(self.request.query),
            "headers": {name: masked(name, value) for name, value in self.request.headers.items()},
            "body": self._readable_body(),
            "model": self.model,
            "stream": self.stream,
            "behaviour": self.behaviour,
            "status": self.status,
            "state": self.state,
            "upstream_id": self.upstream_id,
            "chunks": self.chunks,
            "usage": {
                "input_tokens": self.input_tokens,
                "cached_tokens": self.cached_tokens,
                "output_tokens": self.output_tokens,
            },
            "cost_usd": format(self.cost_usd.normalize(), "f"),
        }

    def _readable_body(self) -> object:
        if not self.body_bytes:
            return None
        if self.body_bytes > MAX_BODY_BYTES:
            return f"({self.body_bytes} bytes)"
        try:
            return orjson.loads(self.request.body)
        except orjson.JSONDecodeError:
            return self.request.body.decode("utf-8", "replace")


class Journal:
    """The last exchanges in full, and counts over all of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self.forget()

    def forget(self) -> None:
        """Start afresh; exchanges that still run are counted when they end."""
        self._entries.clear()
        self._states: Counter[str] = Counter()
        self._by_provider: dict[str, Counter[str]] = {}
        self._statuses: Counter[str] = Counter()
        self._open = 0
        self._most_open = 0
        self._tokens: Counter[str] = Counter()
        self._cost_usd = Decimal(0)

    def keep(self, entry: Entry) -> None:
        """Take a new exchange in."""
        self._entries.append(entry)
        self._open += 1
        self._most_open = max(self._most_open, self._open)

    def end(self, entry: Entry, ending: Ending) -> None:
        """Note how an exchange ended; only the first word counts."""
        if entry.state != OPEN:
            return
        entry.state = ending.value
        entry.ended_at = self._now()
        self._open = max(0, self._open - 1)
        self._states[entry.state] += 1
        self._by_provider.setdefault(entry.provider, Counter())[entry.state] += 1
        self._statuses[str(entry.status)] += 1
        self._tokens.update(input=entry.input_tokens, cached=entry.cached_tokens, output=entry.output_tokens)
        self._cost_usd += entry.cost_usd

    def entries(self) -> Iterable[Entry]:
        """Oldest first."""
        return tuple(self._entries)

    def stats(self) -> Json:
        """Counts since the start or the last reset."""
        return {
            "requests": self._open + sum(self._states.values()),
            "open": self._open,
            "most_open": self._most_open,
            "states": dict(self._states),
            "statuses": dict(self._statuses),
            "providers": {name: dict(states) for name, states in self._by_provider.items()},
            "tokens": dict(self._tokens),
            "cost_usd": format(self._cost_usd.normalize(), "f"),
        }


def masked(name: str, value: str) -> str:
    """A header for the eye: of a credential only the last four characters."""
    if name in ("authorization", "api-key", "x-api-key", "proxy-authorization", "cookie"):
        scheme, blank, secret = value.rpartition(" ")
        return f"{scheme}{blank}****{secret[-4:] if len(secret) > 8 else ''}"
    return value
