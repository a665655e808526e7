"""Api keys in the schema."""

from typing import Any, Self

import strawberry

from llm_service.api.graphql.context import Info
from llm_service.api.graphql.enums import BudgetPeriodWord, KeyStatusWord, OnDisconnectWord, ScopeWord
from llm_service.api.graphql.pages import PageInfo
from llm_service.api.graphql.scalars import Count, Json, Moment, Usd
from llm_service.api.graphql.usage_sums import UsageSums
from llm_service.domain import ApiKey, usd_text
from llm_service.services import status_of

REQUESTS = "Requests in any 60 s; null: as configured for all keys."
TOKENS = "Tokens in any 60 s; null: as configured for all keys."
AT_ONCE = "Requests at once; null: as configured for all keys."
BUDGET = "US dollars in each period; null: as configured for all keys."
MODELS = "Names of models, or patterns ending in `*`; null: all."


@strawberry.type(name="ApiKey", description="A key that callers come with. Its secret is shown once, when it is made.")
class ApiKeyType:
    key: strawberry.Private[ApiKey]
    id: strawberry.ID
    name: str
    status: KeyStatusWord
    user: str | None = strawberry.field(description="The user whom all its requests count for.")
    scopes: list[ScopeWord]
    models: list[str] | None = strawberry.field(description=MODELS)
    requests_per_minute: int | None = strawberry.field(description=REQUESTS)
    tokens_per_minute: Count | None = strawberry.field(description=TOKENS)
    concurrent_requests: int | None = strawberry.field(description=AT_ONCE)
    budget: Usd | None = strawberry.field(description=BUDGET)
    budget_period: BudgetPeriodWord
    tags: Json = strawberry.field(description="Texts by name, recorded with each of its requests.")
    on_disconnect: OnDisconnectWord | None
    semantic_cache: bool = strawberry.field(description="Whether its questions may be answered by likeness.")
    created_at: Moment
    expires_at: Moment | None
    revoked_at: Moment | None
    version: int = strawberry.field(description="Grows by one with each change.")

    @classmethod
    def of(cls, key: ApiKey, info: Info) -> Self:
        """As it stands now."""
        limits = key.allowance
        budget = limits.budget_nano_usd
        return cls(
            key=key,
            id=strawberry.ID(key.id),
            name=key.name,
            status=KeyStatusWord(status_of(key, now=info.context.calls.clock.now())),
            user=key.user,
            scopes=[scope for scope in ScopeWord if scope.value in key.scopes],
            models=None if key.models is None else list(key.models),
            requests_per_minute=limits.requests_per_minute,
            tokens_per_minute=None if limits.tokens_per_minute is None else Count(limits.tokens_per_minute),
            concurrent_requests=limits.concurrent_requests,
            budget=None if budget is None else Usd(usd_text(budget)),
            budget_period=BudgetPeriodWord(limits.budget_period),
            tags=Json(dict(key.tags)),
            on_disconnect=None if key.on_disconnect is None else OnDisconnectWord(key.on_disconnect),
            semantic_cache=key.semantic_cache,
            created_at=Moment(key.created_at),
            expires_at=None if key.expires_at is None else Moment(key.expires_at),
            revoked_at=None if key.revoked_at is None else Moment(key.revoked_at),
            version=key.version,
        )

    @strawberry.field(description="What was ever used with it.")
    async def usage(self, info: Info) -> UsageSums:
        summed = await info.context.usage_of_keys.load(self.key.id)
        return UsageSums.of(summed) if summed is not None else UsageSums.of()


@strawberry.type
class ApiKeyEdge:
    cursor: str
    node: ApiKeyType


@strawberry.type(description="Api keys, oldest first.")
class ApiKeyConnection:
    edges: list[ApiKeyEdge]
    page_info: PageInfo


@strawberry.type(description="A key with its new secret, which is shown this once.")
class CreatedKey:
    key: ApiKeyType
    secret: str = strawberry.field(description="What callers send as `Authorization: Bearer`.")


@strawberry.input(description="A new api key. What is left out has its default.")
class KeyInput:
    name: str = strawberry.field(description="What it is for.")
    user: str | None = None
    scopes: list[ScopeWord] | None = strawberry.field(default=None, description="Null: INFERENCE alone.")
    models: list[str] | None = strawberry.field(default=None, description=MODELS)
    requests_per_minute: int | None = strawberry.field(default=None, description=REQUESTS)
    tokens_per_minute: Count | None = strawberry.field(default=None, description=TOKENS)
    concurrent_requests: int | None = strawberry.field(default=None, description=AT_ONCE)
    budget: Usd | None = strawberry.field(default=None, description=BUDGET)
    budget_period: BudgetPeriodWord | None = None
    tags: Json | None = strawberry.field(default=None, description="Texts by name.")
    on_disconnect: OnDisconnectWord | None = None
    semantic_cache: bool | None = None
    expires_at: Moment | None = None


@strawberry.input(description="Changes of an api key. What is left out stays; null puts a field back to its default.")
class KeyPatch:
    name: str | None = strawberry.UNSET
    user: str | None = strawberry.UNSET
    scopes: list[ScopeWord] | None = strawberry.UNSET
    models: list[str] | None = strawberry.field(default=strawberry.UNSET, description=MODELS)
    requests_per_minute: int | None = strawberry.field(default=strawberry.UNSET, description=REQUESTS)
    tokens_per_minute: Count | None = strawberry.field(default=strawberry.UNSET, description=TOKENS)
    concurrent_requests: int | None = strawberry.field(default=strawberry.UNSET, description=AT_ONCE)
    budget: Usd | None = strawberry.field(default=strawberry.UNSET, description=BUDGET)
    budget_period: BudgetPeriodWord | None = strawberry.UNSET
    tags: Json | None = strawberry.field(default=strawberry.UNSET, description="Texts by name.")
    on_disconnect: OnDisconnectWord | None = strawberry.UNSET
    semantic_cache: bool | None = strawberry.UNSET
    expires_at: Moment | None = strawberry.UNSET
    version: int | None = strawberry.field(
        default=strawberry.UNSET, description="Change it only if it is still at this version."
    )


def key_body(given: KeyInput | KeyPatch) -> dict[str, Any]:
    """What REST would have been sent."""
    body = {name: _plain(value) for name, value in vars(given).items() if value is not strawberry.UNSET}
    if "budget" in body:
        body["budget_usd"] = body.pop("budget")
    if isinstance(given, KeyInput):
        return {name: value for name, value in body.items() if value is not None}
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return getattr(value, "value", value)
