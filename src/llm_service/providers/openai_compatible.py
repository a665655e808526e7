"""The generic dialect: OpenAI's, with the habits of one row of the catalogue."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final

from llm_service.domain import LLMServiceError, ModelInfo, Operation, UpstreamInvalidResponse
from llm_service.providers.answers import answer_of
from llm_service.providers.base import Account, Answer, ChunkReader, GenerationRecord, UpstreamCall, UpstreamRequest
from llm_service.providers.catalog import Server
from llm_service.providers.chunks import StreamReader
from llm_service.providers.complaints import Complaint, complaint, complaint_of
from llm_service.providers.failures import PLAIN, Rules, Verdict, error_of, failed_finish, verdict
from llm_service.providers.hints import retry_after_s
from llm_service.providers.listing import entries_of, model_info

PATHS: Final[Mapping[Operation, str]] = MappingProxyType(
    {"chat": "/chat/completions", "completion": "/completions", "embedding": "/embeddings"}
)
LONGEST_WAIT_S: Final = 3600.0
"""Who is told to come back later than this is told not to come back: a daily limit, say."""
Now = Callable[[], datetime]


class OpenAICompatible:
    """Four conversions by a row of the catalogue; what it does not know passes through, to the server and back.

    ``now``: the wall clock, for errors that name the instant from which on to try again.
    """

    rules: ClassVar[Rules] = PLAIN
    account_paths: Sequence[str] = ()

    def __init__(self, server: Server, *, now: Now) -> None:
        self._server = server
        self._has_habits = bool(server.dropped or server.renamed or server.edits)
        self._now = now

    def request(self, call: UpstreamCall) -> UpstreamRequest:
        """The body as the client sent it, for the upstream model, with the row's changes."""
        return UpstreamRequest(PATHS[call.request.operation], self._body(call))

    def answer(self, raw: bytes, call: UpstreamCall) -> Answer:
        """A whole answer; see :func:`answer_of`."""
        return answer_of(raw, call, server=self._server, fail=self._failure)

    def reader(self, call: UpstreamCall) -> ChunkReader:
        """A reader for one stream."""
        return StreamReader(call, server=self._server, fail=self._failure)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> LLMServiceError:
        """The error of a status that is not 200; header names in lower case."""
        return self._error(complaint_of(status, body), headers)

    def models(self, raw: bytes) -> Sequence[ModelInfo]:
        """The catalogue. Raises UpstreamInvalidResponse."""
        server = self._server
        return tuple(model_info(entry, owner=server.name, prefix=server.model_prefix) for entry in entries_of(raw))

    def account(self, bodies: Sequence[bytes]) -> Account:
        """These servers tell nothing of an account."""
        return Account(usable=True)

    def generation_path(self, upstream_id: str) -> str | None:
        """These servers keep no records of what they did."""
        return None

    def generation(self, raw: bytes) -> GenerationRecord:
        """Nothing of these servers is a record. Raises UpstreamInvalidResponse."""
        raise UpstreamInvalidResponse("The provider keeps no records of generations.")

    def _body(self, call: UpstreamCall) -> dict[str, Any]:
        server = self._server
        body = {**call.request.body, "model": call.candidate.upstream_model}
        body.pop("models", None)  # our own fallback chain
        if call.output_cap is not None:
            body["max_completion_tokens" if call.request.operation == "chat" else "max_tokens"] = call.output_cap
        if body.get("max_completion_tokens") is not None:
            body.pop("max_tokens", None)  # together they are refused; the newer one counts
        if server.asks_usage and call.request.stream:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        if self._has_habits:
            for name in server.dropped:
                body.pop(name, None)
            for name, theirs in server.renamed.items():
                if (value := body.pop(name, None)) is not None:
                    body[theirs] = value
            for edit in server.edits:
                edit(body)
        return body

    def _error(self, told: Complaint, headers: Mapping[str, str]) -> LLMServiceError:
        wait_s = retry_after_s(told, headers, self._now().timestamp())
        error = error_of(told, self._verdict(told), retry_after_s=wait_s)
        if wait_s is not None and wait_s > LONGEST_WAIT_S:
            error.retryable = False
        return error

    def _verdict(self, told: Complaint) -> Verdict:
        return verdict(told, self.rules)

    def _failure(self, told: object) -> LLMServiceError:
        """An error inside an answer of status 200: its object, or the finish reason that stands for it."""
        return failed_finish(told) if isinstance(told, str) else self._error(complaint(told), {})
