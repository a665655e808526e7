"""The one sender that all providers share: a dialect's conversions around a transport."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from llm_service import __version__
from llm_service.domain import (
    CallerError,
    Head,
    InvalidValue,
    LLMServiceError,
    ModelInfo,
    Reply,
    Secret,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamInvalidResponse,
    UpstreamTimeout,
)
from llm_service.providers.base import Account, Dialect, GenerationRecord, UpstreamCall
from llm_service.providers.credentials import Credential, Credentials
from llm_service.providers.deadlines import TimeOuts
from llm_service.providers.live import LiveReply, upstream_failure
from llm_service.providers.options import TimeoutOptions
from llm_service.providers.secrecy import hide
from llm_service.runtime import Clock
from llm_service.transport import HttpHead, HttpRequest, Transport, TransportError

USER_AGENT: Final = f"llm-service/{__version__}"
FETCH_S: Final = 15.0
MAX_FETCH_BYTES: Final = 32 * 1024 * 1024


class HttpProvider:
    """A provider behind HTTP. ``headers`` carry the credential; they go to ``base_url`` and nowhere else."""

    def __init__(
        self,
        *,
        name: str,
        dialect: Dialect,
        transport: Transport,
        base_url: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        timeouts: TimeoutOptions,
        clock: Clock,
        keys: Sequence[tuple[Secret | None, Mapping[str, str]]],
        propagate_trace: bool = False,
    ) -> None:
        """``keys``: the operator's credentials, at least one, each with the headers that show it; ``None``: none.

        ``propagate_trace``: the upstream is told which trace a call belongs to.
        """
        self.name = name
        self._dialect = dialect
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        common = {"user-agent": USER_AGENT, "accept": "*/*", "accept-encoding": "identity"}
        self._headers = {**common, **keys[0][1], **headers}
        posted = {"content-type": "application/json", **common}
        self._credentials = Credentials(
            [Credential(secret, {**posted, **shown, **headers}) for secret, shown in keys], clock
        )
        self._query = f"?{urlencode(query)}" if query else ""
        self._connect_s = timeouts.connect_s
        self._time_outs = TimeOuts(clock, timeouts)
        self._clock = clock
        self._propagate_trace = propagate_trace

    @property
    def keeps_generations(self) -> bool:
        """Whether the dialect knows an address of such records."""
        return self._dialect.generation_path("any") is not None

    @property
    def tells_account(self) -> bool:
        """Whether the dialect knows such addresses."""
        return bool(self._dialect.account_paths)

    def chat(self, call: UpstreamCall) -> Awaitable[Reply]:
        """Send the call and return the reply at its first content; see :class:`Provider`."""
        upstream = self._dialect.request(call)
        single = self._credentials.single
        credential = single or self._credentials.take()
        headers = credential.headers
        if upstream.headers:
            headers = {**headers, **upstream.headers}
        trace = None
        if self._propagate_trace and call.trace is not None:
            trace = call.trace.headers(call.span_id)
            if not headers.keys().isdisjoint(trace):  # the operator's own give way
                headers = {name: value for name, value in headers.items() if name not in trace}
        head = Head(provider=self.name, model=call.request.model, upstream_model=call.candidate.upstream_model)
        reply = LiveReply(call, self._dialect, head, self._time_outs, credential.secret)
        request = HttpRequest(
            "POST",
            f"{upstream.base_url or self._base_url}{upstream.path}{self._query}",
            headers,
            _encoded(upstream.body),
            self._connect_s,
            trace,
            call.request.stream,
        )
        started = reply.started(self._transport.send(request, reply))
        return started if single is not None else self._heard(started, credential)

    async def _heard(self, started: Awaitable[Reply], credential: Credential) -> Reply:
        """Look whether it failed because of its credential."""
        try:
            return await started
        except UpstreamError as error:
            error.other_key = self._credentials.refused(credential, error)
            raise

    async def catalogue(self) -> bytes:
        """The provider's catalogue, as it comes. Raises LLMServiceError."""
        return await self._get("/models")

    def models(self, catalogue: bytes) -> Sequence[ModelInfo]:
        """What a catalogue says of its models. Raises UpstreamInvalidResponse."""
        return self._dialect.models(catalogue)

    async def account(self) -> Account:
        """The state of the operator's account, from free endpoints. Raises LLMServiceError."""
        return self.account_of(await self.account_bodies())

    def account_of(self, bodies: Sequence[bytes]) -> Account:
        """What the bodies of the account's addresses say. Raises UpstreamInvalidResponse."""
        return self._dialect.account(bodies)

    async def account_bodies(self) -> Sequence[bytes]:
        """What the addresses of the account answer; empty where access was refused. Raises LLMServiceError."""
        bodies: list[bytes] = []
        for path in self._dialect.account_paths:
            try:
                bodies.append(await self._get(path))
            except UpstreamAuthFailed:
                if not bodies:
                    raise
                bodies.append(b"")
        return bodies

    async def generation(self, upstream_id: str) -> GenerationRecord | None:
        """What was billed for a generation; see :class:`Provider`. Raises LLMServiceError."""
        path = self._dialect.generation_path(upstream_id)
        if path is None:
            return None
        fetch, body = await self._fetch(path)
        if fetch.status == 404:
            return None
        return self._dialect.generation(self._successful(fetch, body))

    async def _get(self, path: str) -> bytes:
        return self._successful(*await self._fetch(path))

    async def _fetch(self, path: str) -> tuple["_Fetch", bytes]:
        fetch = _Fetch()
        request = HttpRequest(
            method="GET",
            url=self._address(path),
            headers=self._headers,
            connect_s=self._connect_s,
        )
        flow = self._transport.send(request, fetch)
        timer = self._clock.call_later(FETCH_S, fetch.expire)
        try:
            body = await fetch.done
        finally:
            timer.cancel()
            flow.abort()
        return fetch, body

    def _address(self, path: str) -> str:
        query = self._query.replace("?", "&", 1) if "?" in path else self._query
        return f"{self._base_url if path.startswith('/') else ''}{path}{query}"

    def _successful(self, fetch: "_Fetch", body: bytes) -> bytes:
        if fetch.status != 200:
            error = self._dialect.error(fetch.status, fetch.headers, body)
            error.provider = self.name
            hide(self._credentials.first.secret, error)
            if isinstance(error, CallerError):  # nobody's fault but ours: its words are not for everybody who asks
                error.message = f"The provider refused the request (status {fetch.status})."
                error.args = (error.message,)
            raise error from RefusedStatus(fetch.status)
        return body

    async def aclose(self) -> None:
        """Abort what runs and close the connections."""
        await self._transport.aclose()
        self._time_outs.close()


def _encoded(body: Mapping[str, Any]) -> bytes:
    """The body as JSON. Raises InvalidValue for one that could be read and is nested too deeply to be written."""
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        raise InvalidValue("The body is nested too deeply: 250 levels are passed on.") from None


class RefusedStatus(Exception):
    """The cause of an error: the upstream answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class _Fetch:
    """Receiver of one small whole body."""

    def __init__(self) -> None:
        self.done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._parts: list[bytes] = []
        self._bytes = 0

    def on_head(self, head: HttpHead) -> None:
        self.status = head.status
        self.headers = head.headers

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._bytes += len(data)
        if self._bytes > MAX_FETCH_BYTES:
            self._fail(UpstreamInvalidResponse(f"The provider sent more than {MAX_FETCH_BYTES} bytes."))

    def on_end(self) -> None:
        if not self.done.done():
            self.done.set_result(b"".join(self._parts))

    def on_error(self, error: TransportError) -> None:
        failure = upstream_failure(error)
        failure.__cause__ = error
        self._fail(failure)

    def expire(self) -> None:
        self._fail(UpstreamTimeout(f"The provider did not answer within {FETCH_S:g} s."))

    def _fail(self, error: LLMServiceError) -> None:
        if not self.done.done():
            self.done.set_exception(error)
