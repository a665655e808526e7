"""The whole tree of settings: every room's options, composed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from llm_service.admission import LimitsOptions
from llm_service.alerts import AlertingOptions, AlertOptions, NotifierOptions
from llm_service.api import AuthOptions, GraphqlOptions, ServerOptions, WebSocketOptions
from llm_service.cache import CacheOptions
from llm_service.domain import Doc, Pattern
from llm_service.filters import FilterOptions
from llm_service.ledger import LedgerOptions
from llm_service.observability import ObservabilityOptions
from llm_service.pipeline import IdempotencyOptions, ValidationOptions
from llm_service.prices import PriceOptions
from llm_service.providers import ProviderOptions
from llm_service.routing import ModelOptions, RoutingOptions
from llm_service.storage import StoreOptions
from llm_service.streams import StreamOptions

_PROVIDER_NAME = Pattern(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "a name of letters, digits, '.', '_' and '-' (it is the first part of provider/model)",
)
_MODEL_NAME = Pattern(r"[!-~]{1,256}", "a name without blanks")
_NOTIFIER_NAME = Pattern(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "a name of letters, digits, '_' and '-'")
_PRICED = Pattern(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[!-~]{1,256}", "provider/model, or provider/* for all models of one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything an operator can set; each part is an options class of the room that it configures."""

    server: ServerOptions = field(default_factory=ServerOptions)
    auth: AuthOptions = field(default_factory=AuthOptions)
    websocket: WebSocketOptions = field(default_factory=WebSocketOptions)
    store: StoreOptions = field(default_factory=StoreOptions)
    sandbox: Annotated[
        Literal["auto", "on", "off"],
        Doc(
            "Simulated providers beside the service. `auto`: only on loopback, without a configuration file and "
            "without a configured provider."
        ),
    ] = "auto"
    providers: Annotated[
        Mapping[Annotated[str, _PROVIDER_NAME], ProviderOptions], Doc("The configured providers by name.")
    ] = field(default_factory=dict)
    models: Annotated[
        Mapping[Annotated[str, _MODEL_NAME], ModelOptions], Doc("Model names of your own, and what serves them.")
    ] = field(default_factory=dict)
    routing: RoutingOptions = field(default_factory=RoutingOptions)
    cache: CacheOptions = field(default_factory=CacheOptions)
    graphql: GraphqlOptions = field(default_factory=GraphqlOptions)
    streams: StreamOptions = field(default_factory=StreamOptions)
    idempotency: IdempotencyOptions = field(default_factory=IdempotencyOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)
    limits: LimitsOptions = field(default_factory=LimitsOptions)
    prices: Annotated[
        Mapping[Annotated[str, _PRICED], PriceOptions],
        Doc(
            "Prices that you know better than the catalogues, by `provider/model` (the upstream's name of it) or "
            "`provider/*`."
        ),
    ] = field(default_factory=dict)
    filters: Annotated[
        tuple[FilterOptions, ...],
        Doc("What prompts and answers may hold, in their order: docs/filters.md. Empty: anything."),
    ] = ()
    ledger: LedgerOptions = field(default_factory=LedgerOptions)
    notifiers: Annotated[
        Mapping[Annotated[str, _NOTIFIER_NAME], NotifierOptions],
        Doc("Where notices of alerts go, by names of your own."),
    ] = field(default_factory=dict)
    alerts: Annotated[
        tuple[AlertOptions, ...], Doc("Rules that watch the service's own figures; empty: the built-in ones.")
    ] = ()
    alerting: AlertingOptions = field(default_factory=AlertingOptions)
    observability: ObservabilityOptions = field(default_factory=ObservabilityOptions)
