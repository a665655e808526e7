"""Settings of the providers: where an upstream is, the credential for it, and how long to wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, get_args

from llm_service.domain import (
    HEADER_VALUE,
    Bounds,
    Confidential,
    Doc,
    HeaderName,
    HeaderSafe,
    HttpUrl,
    Pattern,
    Reserved,
    Secret,
)

ProviderKind = Literal["openrouter", "deepseek", "openai_compatible"]
HttpClient = Literal["own", "aiohttp"]

_LONGEST_S = 86400
_QUERY_NAME = Pattern(r"[A-Za-z0-9._~-]+", "a query parameter's name")
# Titles, names and models stay in ASCII: they travel in headers, addresses and metric labels.
_QUERY_VALUE = Pattern(r"[ -~]*", "printable ASCII characters")
_TITLE = Pattern(r"[!-~](?:[ -~]*[!-~])?", "one line of ASCII characters")
_URL = HttpUrl(credentials="a key belongs into api_key", query="parameters belong into query")
_SERVER = Pattern(r"[a-z0-9][a-z0-9._-]*", "the name of a row of the provider catalogue, such as vllm")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutOptions:
    """How long to wait for an upstream, all in seconds."""

    connect_s: Annotated[
        float, Bounds(above=0, at_most=_LONGEST_S), Doc("Longest wait for a connection, TLS included.")
    ] = 5.0
    first_chunk_s: Annotated[
        float,
        Bounds(above=0, at_most=_LONGEST_S),
        Doc("Streams only: longest wait from sending to the first content; comments do not count."),
    ] = 120.0
    idle_s: Annotated[
        float,
        Bounds(above=0, at_most=_LONGEST_S),
        Doc("Streams only: longest silence after the first content; comments count as life."),
    ] = 180.0
    min_bytes_per_s: Annotated[
        float | None,
        Bounds(above=0, at_most=1_000_000_000),
        Doc("Streams only: least bytes per second after the first content; a slower stream is ended. Unset: no bound."),
    ] = None
    slow_after_s: Annotated[
        float,
        Bounds(above=0, at_most=_LONGEST_S),
        Doc("Over how long `min_bytes_per_s` is measured; time in which the client is too slow does not count."),
    ] = 30.0
    total_s: Annotated[
        float, Bounds(above=0, at_most=_LONGEST_S), Doc("Longest duration of a whole request, streams included.")
    ] = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOptions:
    """One provider: its upstream, its credential and its own limits."""

    kind: Annotated[
        ProviderKind | None,
        Reserved("anthropic"),
        Doc("Dialect of the upstream. Unset: the provider's name if it is a kind, else `openai_compatible`."),
    ] = None
    server: Annotated[
        str | None,
        _SERVER,
        Doc("Row of the provider catalogue with the server's habits. Unset: the row of the provider's name, if any."),
    ] = None
    api_key: Annotated[
        Secret | None,
        HeaderSafe(),
        Doc("Credential for the upstream; `OPENROUTER_API_KEY` and `DEEPSEEK_API_KEY` set it for these providers."),
    ] = None
    api_keys: Annotated[
        tuple[Annotated[Secret, HeaderSafe()], ...],
        Doc(
            "Further credentials: requests are made with each in turn, and one that the provider limits or refuses "
            "rests while others stand in for it."
        ),
    ] = ()
    base_url: Annotated[
        str | None,
        _URL,
        Doc(
            "Address that the paths of the API are appended to. Unset: the public address of the kind or server; "
            "`OPENROUTER_BASE_URL` and `DEEPSEEK_BASE_URL` set it for these providers."
        ),
    ] = None
    timeouts: TimeoutOptions = field(default_factory=TimeoutOptions)
    max_connections: Annotated[
        int, Bounds(at_least=1, at_most=100_000), Doc("Most connections to this upstream at the same time.")
    ] = 1000
    max_retries: Annotated[
        int,
        Bounds(at_least=0, at_most=10),
        Doc(
            "Most further attempts of one request at this provider, before its first content, within the retry budget."
        ),
    ] = 2
    max_concurrency: Annotated[
        int | None,
        Bounds(at_least=1, at_most=100_000),
        Doc("Most requests at once to this provider from one process; others wait, or go elsewhere. Unset: no bound."),
    ] = None
    max_waiting: Annotated[
        int, Bounds(at_least=0, at_most=100_000), Doc("Most requests that wait for one of these places.")
    ] = 100
    max_wait_s: Annotated[
        float, Bounds(at_least=0, at_most=_LONGEST_S), Doc("Longest wait for a place, within the request's deadline.")
    ] = 10.0
    adaptive_concurrency: Annotated[
        bool,
        Doc("Lower the requests at once while the provider answers more slowly than it can, and raise them again."),
    ] = False
    client: Annotated[
        HttpClient,
        Doc("HTTP client for this upstream: the service's own, or aiohttp, which is slower and puts up with more."),
    ] = "own"
    headers: Annotated[
        Mapping[Annotated[str, HeaderName()], Annotated[str, HEADER_VALUE]],
        Confidential(),
        Doc("Further headers of every request to the upstream; the values are treated as secrets."),
    ] = field(default_factory=dict, repr=False)
    query: Annotated[
        Mapping[Annotated[str, _QUERY_NAME], Annotated[str, _QUERY_VALUE]],
        Confidential(),
        Doc("Further query parameters of every request to the upstream (Azure's `api-version`), treated as secrets."),
    ] = field(default_factory=dict, repr=False)
    app_title: Annotated[str | None, _TITLE, Doc("OpenRouter only: name of your application in its rankings.")] = None
    app_url: Annotated[str | None, _URL, Doc("OpenRouter only: address of your application in its rankings.")] = None
    ca_file: Annotated[
        Path | None, Doc("PEM file with the certificate authorities to trust. Unset: those of the system.")
    ] = None
    propagate_trace: Annotated[
        bool,
        Doc(
            "Tell the upstream which trace a request belongs to (`traceparent`, `tracestate`): for your own servers, "
            "since others need not know."
        ),
    ] = False
    enabled: Annotated[bool, Doc("Off, the provider is kept in the configuration and gets no request.")] = True

    def completed(self, name: str) -> "ProviderOptions":
        """The same with the kind that its name implies, so that `kind` is always set."""
        return replace(self, kind=self.kind or _kind_of(name))


def _kind_of(name: str) -> ProviderKind:
    kinds: tuple[ProviderKind, ...] = get_args(ProviderKind)
    return next((kind for kind in kinds if kind == name), "openai_compatible")
