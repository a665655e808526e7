"""Who sends a request, what they showed for it, and what their api key allows."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

from llm_service.domain.errors import ScopeMissing
from llm_service.domain.fact import fact
from llm_service.domain.limits import BudgetPeriod

Scope = Literal["inference", "read", "admin"]

NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})


@fact
class Credentials:
    """What a request shows of its sender, whichever door it came through.

    ``key``: the presented api key, ``None`` when none was. ``peer``: the other end's IP address. ``host``: the Host
    header. ``forwarded``: some proxy says that it forwards. ``json_body``: false for a POST of another content type.
    ``session``: what a browser keeps since it was let in, ``csrf`` what the page that asks knows of it, ``site`` what
    the browser says of that page (Fetch Metadata). ``safe``: the request changes nothing.
    """

    key: str | None
    peer: str | None
    host: str
    origin: str | None
    forwarded: bool
    json_body: bool = True
    session: str | None = None
    csrf: str | None = None
    site: str | None = None
    safe: bool = False


@fact
class Allowance:
    """The limits of one subject; ``None``: not limited here. Requests and tokens in any 60 s; money in nano-USD."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    budget_nano_usd: int | None = None
    budget_period: BudgetPeriod = "month"


NO_ALLOWANCE: Final = Allowance()


@fact
class ApiKey:
    """A key that we issue, without its secret. ``models``: names or patterns ending in ``*``; ``None``: all.

    ``allowance`` holds the key's own limits, which replace the configured ones of every key kind by kind.
    ``semantic_cache``: its questions may be answered by likeness, where the service does that. All moments are aware
    UTC. ``version`` grows by one with every change.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    user: str | None = None
    models: tuple[str, ...] | None = None
    allowance: Allowance = NO_ALLOWANCE
    tags: Mapping[str, str] = field(default_factory=lambda: NO_TAGS)
    on_disconnect: Literal["cancel", "finish"] | None = None
    semantic_cache: bool = False
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    version: int = 1


@fact
class KeySecret:
    """One secret of a key as it is stored: a public prefix to find it by, and the keyed hash of the whole.

    ``expires_at``: when a rotation's overlap ends, ``None`` for the newest secret. ``hash_key``: the fingerprint of
    the key that the hash was made with.
    """

    key_id: str
    prefix: str
    hash: str
    hash_key: str
    created_at: datetime
    expires_at: datetime | None = None


@fact
class Caller:
    """Who sends requests: ``key_id`` names the api key, or ``local`` / ``admin``; the rest is what the key says.

    ``key``: the issued key, ``None`` for the two others. A token of another issuer (``jwt:...``) comes as a key that
    lasts as long as the token.
    """

    key_id: str
    scopes: frozenset[Scope]
    key: ApiKey | None = None


def allows(key: ApiKey | None, model: str) -> bool:
    """Whether a key lets its caller ask for a model by this name; callers without an issued key may ask for all.

    A pattern (``deepseek/*``) does not reach the stored settings of an OpenRouter account (``name@preset/slug``), which
    may name any other model: such a name has to stand in the list as it is.
    """
    return key is None or key.models is None or lists(key.models, model)


def lists(patterns: Sequence[str], model: str) -> bool:
    """Whether a model of this name is on a list of names and patterns, by the rules of :func:`allows`."""
    if model in patterns:
        return True
    if "@preset/" in model:
        return False
    return any(name.endswith("*") and model.startswith(name[:-1]) for name in patterns)


def require_scope(caller: Caller, *scopes: Scope) -> None:
    """Raises ScopeMissing, which names them, unless the caller has one of the scopes. No scope includes another."""
    if caller.scopes.isdisjoint(scopes):
        asked, had = " or ".join(f"`{scope}`" for scope in scopes), ", ".join(sorted(caller.scopes)) or "none"
        raise ScopeMissing(f"This address asks for a key with the scope {asked}; the presented key has: {had}.")
