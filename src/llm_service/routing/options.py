"""Settings of routing: which deployment is asked, how often, and what becomes of those that fail."""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from llm_service.domain import Bounds, Doc, NotEmpty, Pattern

Strategy = Literal["priority", "weighted", "latency", "least_busy", "cost"]
Ability = Literal["tools", "images", "audio", "files", "json_schema"]

_MODEL: Final = Pattern(r"[!-~]{1,256}", "the upstream's name of a model, without blanks")
_TAG: Final = Pattern(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", "a word of letters, digits, '.', '_', ':' and '-'")
_LONGEST_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOptions:
    """One way to serve a model."""

    provider: Annotated[str, Doc("Name of a configured provider.")]
    model: Annotated[str, _MODEL, Doc("The model's name at that provider.")]
    weight: Annotated[
        float, Bounds(above=0, at_most=1000), Doc("Its share of the requests, beside the weights of the others.")
    ] = 1.0
    priority: Annotated[
        int,
        Bounds(at_least=0, at_most=1000),
        Doc("Deployments of a higher number are asked only when those of lower ones cannot serve."),
    ] = 0
    tags: Annotated[
        tuple[Annotated[str, _TAG], ...],
        Doc("Requests with the tag `route=<word>` go only to deployments that have the word here."),
    ] = ()
    context_tokens: Annotated[
        int | None,
        Bounds(at_least=1, at_most=1_000_000_000),
        Doc("Context window. Unset: what the provider's catalogue says."),
    ] = None
    lacks: Annotated[
        tuple[Ability, ...], Doc("What the deployment cannot do: requests that need it go to others.")
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """One model of the operator's own naming."""

    deployments: Annotated[tuple[DeploymentOptions, ...], NotEmpty(), Doc("Ways to serve the model.")]
    strategy: Annotated[
        Strategy,
        Doc(
            "Who is asked first, among deployments of the same `priority`: the first in the list, by weight, the "
            "fastest of two, the one with the fewest requests, the cheapest."
        ),
    ] = "priority"
    sticky: Annotated[
        bool,
        Doc("Requests that begin alike go to the same deployment, so that its prompt cache is of use."),
    ] = False
    fallbacks: Annotated[
        tuple[Annotated[str, _MODEL], ...], Doc("Models to ask when no deployment of this one can serve, in order.")
    ] = ()
    context_fallbacks: Annotated[
        tuple[Annotated[str, _MODEL], ...], Doc("Models to ask when the prompt is too long for this one, in order.")
    ] = ()
    content_fallbacks: Annotated[
        tuple[Annotated[str, _MODEL], ...],
        Doc("Models to ask when the provider refuses the prompt for its content, in order."),
    ] = ()
    cache_ttl_s: Annotated[
        float | None,
        Bounds(at_least=0, at_most=366 * 24 * 3600),
        Doc("How long its answers are fresh in the response cache; 0 keeps none. Unset: `cache.ttl_s`."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOptions:
    """When a deployment that fails is left alone, and for how long."""

    failures: Annotated[
        int, Bounds(at_least=1, at_most=10_000), Doc("So many failures in a row open the breaker of a deployment.")
    ] = 5
    error_ratio: Annotated[
        float, Bounds(above=0, at_most=1), Doc("A share of failures in the window that opens it as well.")
    ] = 0.5
    min_requests: Annotated[
        int, Bounds(at_least=1, at_most=100_000), Doc("Requests in the window below which the share says nothing.")
    ] = 10
    window_s: Annotated[float, Bounds(at_least=1, at_most=600), Doc("Length of the window.")] = 10.0
    open_s: Annotated[
        float,
        Bounds(above=0, at_most=_LONGEST_S),
        Doc("How long nothing is sent at first; then one request tries it. Doubled with each try that fails."),
    ] = 1.0
    open_max_s: Annotated[float, Bounds(above=0, at_most=_LONGEST_S), Doc("The longest time between two tries.")] = 4.0
    max_ejected: Annotated[
        float,
        Bounds(at_least=0, at_most=1),
        Doc("Most deployments of a model, as a share, that may be left out for their share of failures alone."),
    ] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeOptions:
    """A second attempt beside one that is late."""

    enabled: Annotated[
        bool, Doc("Whether a late first attempt gets a second one beside it; the first answer wins.")
    ] = False
    quantile: Annotated[
        float,
        Bounds(at_least=0.5, at_most=0.999),
        Doc("An attempt is late when it takes longer than this share of the deployment's latest ones did."),
    ] = 0.95
    min_delay_s: Annotated[
        float, Bounds(at_least=0, at_most=_LONGEST_S), Doc("Earlier than this no second attempt begins.")
    ] = 0.05
    max_requests: Annotated[
        float,
        Bounds(at_least=0, at_most=1),
        Doc("Most second attempts, as a share of the requests of the last minute."),
    ] = 0.05
    max_cost: Annotated[
        float,
        Bounds(at_least=0, at_most=1),
        Doc("Most money for attempts that lost, as a share of what the requests of the last minute cost."),
    ] = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class OverloadOptions:
    """When new requests are refused so that those that run are served well."""

    max_in_flight: Annotated[
        int | None, Bounds(at_least=1, at_most=1_000_000), Doc("Most requests at once in one process. Unset: no bound.")
    ] = None
    max_lag_s: Annotated[
        float | None,
        Bounds(above=0, at_most=60),
        Doc(
            "The event loop may be late by so much on average over the last second, but for its worst moment. "
            "Unset: no bound."
        ),
    ] = 1.0
    max_memory_bytes: Annotated[
        int | None,
        Bounds(at_least=64 * 1024 * 1024),
        Doc(
            "Resident memory of one process. Unset: its share, by `server.workers`, of nine tenths of its control "
            "group's limit, if it has one."
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingOptions:
    """How requests find a deployment, and what happens when one fails before its first content."""

    retry_budget: Annotated[
        float,
        Bounds(at_least=0, at_most=10),
        Doc("Most retries and fallbacks to a provider, as a share of its requests of the last 10 s."),
    ] = 0.2
    retry_budget_min: Annotated[
        int, Bounds(at_least=0, at_most=10_000), Doc("So many are allowed in 10 s all the same, over all processes.")
    ] = 10
    retry_after_max_s: Annotated[
        float,
        Bounds(at_least=0, at_most=600),
        Doc("A provider's `Retry-After` of up to this is waited for; with a longer one others are asked."),
    ] = 2.0
    backoff_s: Annotated[
        float,
        Bounds(at_least=0, at_most=60),
        Doc("Before a retry one waits between nothing and this at random; doubled with each one."),
    ] = 0.25
    backoff_max_s: Annotated[float, Bounds(at_least=0, at_most=600), Doc("The longest such time.")] = 4.0
    breaker: BreakerOptions = field(default_factory=BreakerOptions)
    hedge: HedgeOptions = field(default_factory=HedgeOptions)
    overload: OverloadOptions = field(default_factory=OverloadOptions)
