"""Settings of the response cache."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from llm_service.domain import Bounds, Doc
from llm_service.storage import Eviction

TenantScope = Literal["key", "user", "global"]
SemanticMode = Literal["shadow", "serve"]

_YEAR_S = 366 * 24 * 3600
_DURATION = Bounds(at_least=0, at_most=_YEAR_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticOptions:
    """Answers to questions that were asked in other words, for api keys that allow it (``semantic_cache``)."""

    enabled: Annotated[
        bool, Doc("Whether questions are compared by likeness. Takes the packages of the extra `semantic`.")
    ] = False
    mode: Annotated[
        SemanticMode,
        Doc(
            "`shadow`: nothing is given; what would have been is compared with the new answer and counted. `serve`: "
            "kept answers are given."
        ),
    ] = "shadow"
    threshold: Annotated[
        float,
        Bounds(at_least=0.8, at_most=1),
        Doc("How much alike two questions must be, as the cosine of their vectors."),
    ] = 0.95
    max_entries: Annotated[
        int, Bounds(at_least=1, at_most=1_000_000), Doc("Questions that each process remembers, 2 KB each.")
    ] = 10_000
    max_prompt_chars: Annotated[int, Bounds(at_least=1, at_most=1_000), Doc("Longer questions are not compared.")] = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions:
    """Which answers are kept, for how long, and to whom they are given again."""

    enabled: Annotated[bool, Doc("Whether answers are kept and given again.")] = True
    ttl_s: Annotated[
        float, _DURATION, Doc("How long an answer is fresh; 0 keeps none. A model may have a time of its own.")
    ] = 3600.0
    max_bytes: Annotated[
        int,
        Bounds(at_least=65_536, at_most=2**40),
        Doc("Memory for answers in each process; the ones that were least used make room."),
    ] = 268_435_456
    max_entry_bytes: Annotated[
        int, Bounds(at_least=4096, at_most=2**30), Doc("Largest answer that is kept, 1 KiB of which are our own.")
    ] = 1_048_576
    scope: Annotated[
        TenantScope,
        Doc(
            "Who shares answers: the requests of one api key, those of one user (of all keys whose own user it is; one "
            "that a request names shares within its key), or all."
        ),
    ] = "key"
    max_temperature: Annotated[
        float,
        Bounds(at_least=0),
        Doc("Requests with a higher temperature pass the cache by; one that names none counts as 1."),
    ] = 2.0
    stale_while_revalidate_s: Annotated[
        float, _DURATION, Doc("How long a stale answer may still be given while a new one is fetched behind it.")
    ] = 0.0
    stale_if_error_s: Annotated[
        float, _DURATION, Doc("How long a stale answer may still be given where the provider fails.")
    ] = 0.0
    eviction: Annotated[
        Eviction, Doc("Which answers make room first: those that were not asked for longest, or least often.")
    ] = "lru"
    semantic: SemanticOptions = field(default_factory=SemanticOptions)
