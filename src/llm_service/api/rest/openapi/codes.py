"""Every error code with its meaning and what to do; docs/errors.md shows the same table."""

from typing import Final, NamedTuple

from llm_service import domain
from llm_service.api.errors import TABLE, Spoken
from llm_service.domain import LLMServiceError


class Failure(NamedTuple):
    """One code: ``meaning`` says what happened, ``advice`` what the caller or the operator can do."""

    error: type[LLMServiceError]
    meaning: str
    advice: str

    @property
    def code(self) -> str:
        return self.error.code

    @property
    def spoken(self) -> Spoken:
        """Status and type: the row of the class, or of the nearest one above it."""
        return next(TABLE[ancestor] for ancestor in self.error.__mro__ if ancestor in TABLE)


FAILURES: Final = (
    Failure(domain.InvalidJson, "The body is not one JSON object.", "Mend the body; the message names the place."),
    Failure(
        domain.InvalidValue,
        "A field or a header has a wrong type, or a value that cannot be used.",
        "Change what `param` names.",
    ),
    Failure(domain.MissingParameter, "A required field is absent.", "Send the field that `param` names."),
    Failure(
        domain.ContextLengthExceeded,
        "Prompt and output cap do not fit the model's context window, or the prompt is longer than the service takes.",
        "Shorten the prompt, lower `max_tokens`, or take a model with a larger window.",
    ),
    Failure(
        domain.ContentFiltered,
        "A content rule refused the prompt: the provider's, or a filter that the message names.",
        "Change the prompt.",
    ),
    Failure(
        domain.InvalidDocument,
        "A GraphQL document does not parse, does not fit the schema, or is none of the trusted ones.",
        "Mend the document; the message names the place.",
    ),
    Failure(
        domain.DocumentTooComplex,
        "A GraphQL document or batch goes beyond one of the bounds of `graphql.*`; the message says which.",
        "Ask for less at once, in smaller pages, or put long texts into variables.",
    ),
    Failure(
        domain.InvalidApiKey,
        "The key is not known, has expired or was revoked, or none was sent where one is required.",
        "Send a valid key as `Authorization: Bearer` or `x-api-key`.",
    ),
    Failure(
        domain.NotLocal,
        "No key was sent, and the request does not come straight from this machine.",
        "Do what the message says, or set `auth.admin_key` and send it.",
    ),
    Failure(
        domain.ModelNotAllowed,
        "The api key may not use this model.",
        "Take a model that the key allows, or have its `models` changed.",
    ),
    Failure(
        domain.ScopeMissing,
        "The api key lacks the scope that this address asks for.",
        "Use a key with the scope that the message names.",
    ),
    Failure(domain.NotFound, "There is nothing at this address.", "Look at `/docs` for the addresses."),
    Failure(domain.ModelNotFound, "No provider serves a model of this name.", "Take a name of `GET /v1/models`."),
    Failure(domain.MethodNotAllowed, "The address exists, the method does not.", "Use a method of the `Allow` header."),
    Failure(
        domain.RequestTooLarge,
        "The body is larger than the service accepts.",
        "Send less, or raise `server.max_body_bytes`.",
    ),
    Failure(
        domain.IdempotencyKeyReused,
        "The `Idempotency-Key` came with another request before; or with this one, and its answer is too large to be"
        " kept.",
        "Take a new key for a new request; send the same body to get the same answer.",
    ),
    Failure(
        domain.RateLimited,
        "A limit of requests or tokens a minute has no room; `limit` says which.",
        "Wait for `Retry-After`, or ask for less.",
    ),
    Failure(
        domain.ConcurrencyLimited,
        "Too many requests run at once; `limit` says whose.",
        "Try again when one of them has ended.",
    ),
    Failure(
        domain.UpstreamRateLimited,
        "The provider limits the service's account.",
        "Try again after the time in `Retry-After`.",
    ),
    Failure(
        domain.BudgetExceeded,
        "What is left of a budget does not pay for the request; `limit` says which.",
        "Ask for less, wait for the next period, or have the budget raised.",
    ),
    Failure(
        domain.PriceUnknown,
        "A budget applies, and the price of the model is not known.",
        "Take a model with a known price, set its price, or `limits.unknown_price: allow`.",
    ),
    Failure(
        domain.InternalError,
        "A defect of the service.",
        "Report it with the `request_id`; the log has the details under it.",
    ),
    Failure(
        domain.UpstreamError, "The provider failed or could not be reached.", "Try again, or ask another provider."
    ),
    Failure(
        domain.UpstreamAuthFailed,
        "The provider refused the service's credential; it is not the caller's key that is wrong.",
        "The operator mends `providers.<name>.api_key`.",
    ),
    Failure(
        domain.UpstreamInvalidResponse,
        "What the provider sent is not an answer.",
        "Try again, or ask another provider.",
    ),
    Failure(
        domain.Overloaded,
        "The process is asked for more than it can serve well.",
        "Try again after `Retry-After`; the operator adds workers or machines.",
    ),
    Failure(
        domain.ProviderDisabled,
        "The operator has switched off the providers that serve the model.",
        "Ask for another model, or later.",
    ),
    Failure(
        domain.NoDeploymentAvailable,
        "The model is known, but nothing can serve it now.",
        "Try again later, or ask for another model.",
    ),
    Failure(domain.Draining, "The process is shutting down.", "Send the request again: another process serves it."),
    Failure(
        domain.LedgerUnavailable,
        "The record of the request cannot be kept, or the keys cannot be read, so nothing was begun.",
        "Try again; the operator makes room on the disk, or brings the database back.",
    ),
    Failure(
        domain.CacheUnavailable,
        "The shared store does not answer, so nothing is certain to be purged, and a stream of another process cannot "
        "be found.",
        "Try again when the store is back, after `Retry-After`; `/health` says how it is.",
    ),
    Failure(
        domain.IssuerUnavailable,
        "The keys of the token's issuer cannot be fetched, so the token cannot be verified.",
        "Try again; the operator finds the cause in the log.",
    ),
    Failure(
        domain.UpstreamNoBalance,
        "The service's account at the provider has no money left.",
        "The operator tops it up; until then ask another provider.",
    ),
    Failure(
        domain.UpstreamTimeout,
        "The provider was silent, or slower, for longer than its time-outs allow.",
        "Try again, or raise `providers.<name>.timeouts`.",
    ),
    Failure(
        domain.DeadlineExceeded,
        "The request's own deadline, `X-LLM-Timeout-S`, passed.",
        "Give it more time, or ask for less.",
    ),
    Failure(
        domain.OnlyIfCachedMiss,
        "`Cache-Control: only-if-cached` asks for a kept answer, and there is none.",
        "Send the request without it.",
    ),
)
"""What a response can say in place of an answer."""

STREAM_FAILURES: Final = (
    Failure(
        domain.StreamInterrupted,
        "The provider's stream broke off in the middle of the answer.",
        "Ask again; what came so far is not the whole answer.",
    ),
    Failure(
        domain.StreamCancelled,
        "The stream was ended before its answer was complete, by its owner or by a hang-up.",
        "Nothing, if that was wanted; else ask again.",
    ),
    Failure(
        domain.KeyRevoked,
        "The api key was revoked while its request was running.",
        "Ask the operator for another key.",
    ),
)
"""What only the last event of a stream can say; every other code can come there too."""
