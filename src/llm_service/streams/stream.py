"""One request's stream: its ids, and what its client is told beside the events."""

from typing import Any, Final, Protocol

from llm_service.domain import CacheStatus, CostSource, Head, LLMServiceError
from llm_service.streams.generation import Generation

STREAM_BYTES: Final = 1024
"""What a stream takes beside its events."""


def stream_id_of(request_id: str) -> str:
    """The id of the stream that answers a request: both have the same digits."""
    return f"str_{request_id.removeprefix('req_')}"


class Cut(Protocol):
    """A reader of a stream that can be told that it is over."""

    def cut(self, error: LLMServiceError) -> None:
        """End with this error."""


class Stream:
    """What one request's client is told of a generation, so that it can be told again.

    ``owner`` is the id of the key that asked. Two requests that share a generation see the same events; the ids are
    their own, and so is what the end says of the cost: ``pays``, or it costs nothing. ``attempts``: calls to providers
    that it took, 0 where somebody else's call answered it. ``finish``: its generation goes on without its reader.
    """

    __slots__ = (
        "__weakref__", "at", "attempts", "cache", "finish", "generation", "head", "id", "include_usage", "owner",
        "pays", "request_id", "sinks",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the contract's word
        request_id: str,
        owner: str,
        include_usage: bool,
        cache: CacheStatus = "bypass",
        attempts: int = 1,
        pays: bool = True,
    ) -> None:
        self.id = id
        self.request_id = request_id
        self.owner = owner
        self.include_usage = include_usage
        self.cache: CacheStatus = cache
        self.attempts = attempts
        self.pays = pays
        self.generation: Generation | None = None
        self.head: Head | None = None
        self.sinks: list[Cut] = []
        self.finish = False
        self.at = ""  # the process whose client asked, where that is another one

    def facts(self) -> dict[str, Any]:
        """What another process needs to tell the same."""
        return {
            "id": self.id,
            "request_id": self.request_id,
            "owner": self.owner,
            "include_usage": self.include_usage,
            "cache": self.cache,
            "attempts": self.attempts,
            "pays": self.pays,
        }

    @property
    def nano_usd(self) -> int | None:
        """What the request cost, ``None`` as long as that is not known."""
        if self.generation is None or not self.generation.settled:
            return None
        return self.generation.nano_usd if self.pays else 0

    @property
    def cost_source(self) -> CostSource:
        """Who says so."""
        return self.generation.cost_source if self.pays and self.generation is not None else "none"

    def failure(self, error: LLMServiceError) -> LLMServiceError:
        """The error that ends it after its beginning, as its client is told it: with its own ``attempts``."""
        same = error.again()
        same.attempts = self.attempts
        return same

    def cancel(self, error: LLMServiceError) -> None:
        """End it for its readers with this error, and its generation with it, unless others read that."""
        self.cut(error)
        if self.generation is not None:
            finish, self.finish = self.finish, False
            self.generation.disown(error, finish=finish)

    def cut(self, error: LLMServiceError) -> None:
        """End it for its readers with this error."""
        for sink in tuple(self.sinks):
            sink.cut(error)

    @property
    def bytes(self) -> int:
        """About how much memory it holds."""
        return STREAM_BYTES + (0 if self.generation is None else self.generation.bytes)
