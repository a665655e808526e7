"""What a provider is to the pipeline, and what a provider's own dialect has to say: four conversions."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Protocol

from llm_service.domain import (
    Candidate,
    Event,
    LLMServiceError,
    ModelInfo,
    ModelRequest,
    Outcome,
    Reply,
    fact,
    fact_in_order,
)
from llm_service.observability import Trace


@fact_in_order
class UpstreamCall:
    """One request for one deployment. ``deadline_s``: seconds that the caller still gives it, ``None`` for no end.
    ``spent_s``: seconds that earlier attempts at this provider took: they count towards its time-out of a whole one.

    ``output_cap``: the most tokens that a choice may have, where a limit was asked for them and the
    request named none, or where less than it names fits the context.
    ``trace``, ``span_id``: what providers are told of the trace that it belongs to, where they are.
    """

    request: ModelRequest
    candidate: Candidate
    deadline_s: float | None = None
    spent_s: float = 0.0
    request_id: str = ""
    output_cap: int | None = None
    trace: Trace | None = None
    span_id: str = ""


@fact
class Account:
    """What a provider says of the operator's account, from endpoints that cost nothing.

    ``balance`` (in ``currency``) and ``limit_remaining_usd``: ``None`` where there is no such figure. ``usable``: calls
    will not be refused for money. ``detail``: further figures as the provider names them.
    """

    usable: bool
    balance: Decimal | None = None
    currency: str | None = None
    limit_remaining_usd: Decimal | None = None
    detail: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@fact
class GenerationRecord:
    """What a provider says afterwards of one generation: what it billed, by its own tokenizer; ``None``: not told."""

    cost_usd: Decimal
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None


class Provider(Protocol):
    """Whom we buy from. ``name`` is the key in the configuration and the label in metrics alike."""

    name: str

    @property
    def keeps_generations(self) -> bool:
        """Whether it says afterwards what was billed for a generation."""

    @property
    def tells_account(self) -> bool:
        """Whether it has free addresses that tell of the operator's account."""

    def chat(self, call: UpstreamCall) -> Awaitable[Reply]:
        """The answer, as soon as its first content is there. Any operation: chat, completion, embedding.

        Raises LLMServiceError when the provider fails before that. Cancelling the caller aborts the upstream.
        """

    async def catalogue(self) -> bytes:
        """The provider's catalogue, as it comes. Raises LLMServiceError. Costs nothing."""

    def models(self, catalogue: bytes) -> Sequence[ModelInfo]:
        """What a catalogue says of its models. Raises UpstreamInvalidResponse."""

    async def account_bodies(self) -> Sequence[bytes]:
        """What the free addresses of the account answer; see ``Dialect.account``. Raises LLMServiceError."""

    def account_of(self, bodies: Sequence[bytes]) -> Account:
        """What such answers say. Raises UpstreamInvalidResponse."""

    async def account(self) -> Account:
        """The state of the operator's account. Raises LLMServiceError. Costs nothing."""

    async def generation(self, upstream_id: str) -> GenerationRecord | None:
        """What was billed for a generation, by the provider's id of it. Raises LLMServiceError. Costs nothing.

        ``None``: it is not known there, or not yet, or the provider keeps no such records.
        """

    async def aclose(self) -> None:
        """Abort what runs and close the connections."""


@fact_in_order
class UpstreamRequest:
    """What a dialect makes of a request: where it goes, and its body. ``path`` follows the base URL.

    ``headers``: those that it has besides. ``base_url`` is set when it goes to another one than the configured
    (DeepSeek's beta).
    """

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] | None = None
    base_url: str | None = None


@fact_in_order
class Answer:
    """A whole answer in OpenAI's form. ``raw`` are the upstream's bytes where nothing had to be changed.

    ``is_complete``: what :func:`is_complete_answer` says of it; ``None``: it came in JSON that only some write.
    """

    raw: bytes
    outcome: Outcome
    is_complete: bool | None = None


class ChunkReader(Protocol):
    """Turns the events of one upstream stream into ours; keeps the state of that stream, does no I/O."""

    has_content: bool
    """Something that a reader would see has come: text, reasoning, a tool call, a refusal, audio."""

    def read_into(self, batch: list[Event], server_events: Sequence[tuple[bytes, bytes]]) -> bool:
        """Add what these say to ``batch``; each is an event's data, and its type where it has one. Whether the end is
        among them (``[DONE]``): what follows it means nothing. Holds finish and usage back.

        Raises LLMServiceError for an error event or a broken one; what came before it is in the batch then.
        """

    def close(self, *, done: bool) -> tuple[Sequence[Event], Outcome]:
        """The stream has ended (``done``: by ``[DONE]``): the terminal events, and the outcome.

        Raises LLMServiceError when the answer is not complete.
        """

    def outcome_so_far(self) -> Outcome:
        """What is known when a stream is broken off: usage seen, finish reason, ids."""


class Dialect(Protocol):
    """A provider's way of speaking: pure conversions, tested against transcripts without a network."""

    def request(self, call: UpstreamCall) -> UpstreamRequest:
        """Raises InvalidValue for what the provider cannot do."""

    def answer(self, raw: bytes, call: UpstreamCall) -> Answer:
        """A whole answer of status 200. Raises LLMServiceError for an error inside it, or when it is none."""

    def reader(self, call: UpstreamCall) -> ChunkReader:
        """A reader for a stream of status 200."""

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> LLMServiceError:
        """The error of a status that is not 200."""

    def models(self, raw: bytes) -> Sequence[ModelInfo]:
        """The catalogue, from the body of ``GET {base}/models``."""

    @property
    def account_paths(self) -> Sequence[str]:
        """The free addresses that tell of the operator's account: below the base URL, or whole ones of that host.

        Those after the first tell more, and only some credentials may see them.
        """

    def account(self, bodies: Sequence[bytes]) -> Account:
        """The account, from the bodies of those addresses in their order; empty ones where access was refused."""

    def generation_path(self, upstream_id: str) -> str | None:
        """The address of a generation's record, below the base URL; ``None`` where the provider keeps none."""

    def generation(self, raw: bytes) -> GenerationRecord:
        """The record, from the body of that address. Raises UpstreamInvalidResponse."""
