"""Settings of the stores: which servers keep what several processes share."""

from dataclasses import dataclass
from typing import Annotated

from llm_service.domain import Bounds, Doc, Pattern, Secret
from llm_service.storage.valkey_address import StoreUrl

_DATABASE_URL = Pattern(
    r"postgres(?:ql)?://\S+",
    "an address such as postgresql://user:password@host:5432/name; SQLite in the data directory needs none",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """Servers for what several processes or machines share; without them the service keeps all of it itself."""

    redis_url: Annotated[
        Secret | None,
        StoreUrl(),
        Doc("Redis or Valkey for what machines share while they run: limits and messages. Unset: this machine alone."),
    ] = None
    redis_prefix: Annotated[
        str,
        Pattern(r"[A-Za-z0-9._:-]{1,64}", "1 to 64 letters, digits, '.', '_', ':' and '-'"),
        Doc("What the names of all keys there begin with."),
    ] = "llm:"
    redis_timeout_s: Annotated[
        float,
        Bounds(at_least=0.01, at_most=30),
        Doc("How long that store may take for an answer before it counts as lost; requests wait for it."),
    ] = 0.1
    database_url: Annotated[
        Secret | None,
        _DATABASE_URL,
        Doc(
            "PostgreSQL for api keys, the ledger and answers under an `Idempotency-Key`. Unset: SQLite, in the data "
            "directory."
        ),
    ] = None
