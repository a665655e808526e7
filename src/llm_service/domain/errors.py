"""Everything that can go wrong with a request, as one tree of classes with stable codes.

    LLMServiceError
    ├── CallerError            the request cannot be served as it is
    │   ├── InvalidRequest         InvalidJson  InvalidValue  MissingParameter  ContextLengthExceeded
    │   │                          ContentFiltered  RequestTooLarge  IdempotencyKeyReused
    │   │                          InvalidDocument  DocumentTooComplex
    │   ├── InvalidApiKey
    │   ├── NotLocal               ModelNotAllowed  ScopeMissing
    │   ├── NotFound               ModelNotFound  MethodNotAllowed
    │   └── LimitReached           RateLimited  ConcurrencyLimited  BudgetExceeded  PriceUnknown
    ├── GatewayError           we cannot serve it now
    │   ├── Overloaded  Draining  ProviderDisabled  NoDeploymentAvailable  DeadlineExceeded  StreamCancelled  KeyRevoked
    │   ├── LedgerUnavailable  CacheUnavailable  IssuerUnavailable  OnlyIfCachedMiss
    │   └── InternalError
    └── UpstreamError          the provider failed us
        ├── UpstreamAuthFailed  UpstreamNoBalance  UpstreamRateLimited
        ├── UpstreamInvalidResponse  UpstreamTimeout
        └── StreamInterrupted

Providers map their failures into this tree once; ``api/errors.py`` maps it out once.
"""

from typing import ClassVar, Literal, Self

from llm_service.domain.limits import Limit
from llm_service.domain.usage import Cost, Usage

Fault = Literal["caller", "gateway", "upstream"]


class LLMServiceError(Exception):
    """A failure with a stable ``code``; the message is shown to callers, so it never holds a secret or a prompt.

    ``retryable``: the same request may succeed later. ``retry_after_s``: seconds to wait first, when known.
    ``param``: the request field at fault, as a path (``messages[0].role``). ``provider``: whose failure it was.
    ``attempts``: calls of providers that it took, where a request to a model ended with it.
    """

    code: ClassVar[str] = "internal_error"
    fault: ClassVar[Fault] = "gateway"
    retryable: bool = False
    attempts: int = 0

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        provider: str | None = None,
        retryable: bool | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.provider = provider
        self.retry_after_s = retry_after_s
        if retryable is not None:
            self.retryable = retryable

    def again(self) -> Self:
        """The same failure, for another task to raise: raised by several, one instance mixes up their tracebacks."""
        kind = type(self)
        same = kind.__new__(kind, *self.args)
        same.__dict__.update(self.__dict__)
        return same


class CallerError(LLMServiceError):
    """The caller has to change something."""

    fault = "caller"


class InvalidRequest(CallerError):
    """The body or a header does not make a valid request."""

    code = "invalid_value"


class InvalidJson(InvalidRequest):
    """The body is not one JSON object."""

    code = "invalid_json"


class InvalidValue(InvalidRequest):
    """A field has a wrong type or a value that cannot be used."""

    code = "invalid_value"


class MissingParameter(InvalidRequest):
    """A required field is absent."""

    code = "missing_required_parameter"


class ContextLengthExceeded(InvalidRequest):
    """Prompt and output cap do not fit the model's context window, or the prompt is longer than the service takes."""

    code = "context_length_exceeded"


class ContentFiltered(InvalidRequest):
    """A content rule, ours or the provider's, refused the prompt."""

    code = "content_filtered"


class RequestTooLarge(InvalidRequest):
    """The body is larger than accepted."""

    code = "request_too_large"


class InvalidDocument(InvalidRequest):
    """A GraphQL document does not parse, does not fit the schema, or is none of the trusted ones."""

    code = "invalid_document"


class DocumentTooComplex(InvalidRequest):
    """A GraphQL document, or a batch of them, asks for more than one request may."""

    code = "document_too_complex"


class IdempotencyKeyReused(InvalidRequest):
    """The idempotency key came with another request before, or with this one, whose answer could not be kept."""

    code = "idempotency_key_reused"


class InvalidApiKey(CallerError):
    """A key was presented and is not known, or a key is required and none was presented."""

    code = "invalid_api_key"


class NotLocal(CallerError):
    """No key was presented, and the request does not come from this machine in the way that needs none."""

    code = "not_local"


class ModelNotAllowed(CallerError):
    """The api key may not use this model."""

    code = "model_not_allowed"


class ScopeMissing(CallerError):
    """The api key lacks the scope that this address asks for."""

    code = "scope_missing"


class LimitReached(CallerError):
    """A limit has no room for the request. ``used`` and ``reserved`` are what stands against it already."""

    code = "rate_limit_exceeded"
    limit: Limit | None = None
    used: int = 0
    reserved: int = 0

    def __init__(
        self,
        message: str,
        *,
        limit: Limit | None = None,
        used: int = 0,
        reserved: int = 0,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, retryable=retry_after_s is not None, retry_after_s=retry_after_s)
        self.limit = limit
        self.used = used
        self.reserved = reserved


class RateLimited(LimitReached):
    """Too many requests or tokens in the last minute."""

    code = "rate_limit_exceeded"


class ConcurrencyLimited(LimitReached):
    """Too many requests at once."""

    code = "concurrency_limit_exceeded"


class BudgetExceeded(LimitReached):
    """What is left of a budget does not pay for the request."""

    code = "budget_exceeded"


class PriceUnknown(LimitReached):
    """A budget applies, and nobody knows what the model costs."""

    code = "price_unknown"


class NotFound(CallerError):
    """There is no such address."""

    code = "not_found"


class ModelNotFound(NotFound):
    """No provider serves a model of this name."""

    code = "model_not_found"


class MethodNotAllowed(NotFound):
    """The address exists, the method does not."""

    code = "method_not_allowed"
    allowed: tuple[str, ...] = ()

    def __init__(self, message: str, *, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class GatewayError(LLMServiceError):
    """The service itself cannot serve the request."""

    fault = "gateway"


class InternalError(GatewayError):
    """A defect of ours; its details are in the log under the request id."""

    code = "internal_error"


class Draining(GatewayError):
    """The process is shutting down; another one, or a later one, can serve."""

    code = "draining"
    retryable = True


class Overloaded(GatewayError):
    """More is asked of this process than it can serve well; another one, or a later one, can."""

    code = "overloaded"
    retryable = True


class ProviderDisabled(GatewayError):
    """The only providers that serve the model were switched off by the operator, or are being drained."""

    code = "provider_disabled"


class NoDeploymentAvailable(GatewayError):
    """The model is known, but no deployment can serve it now."""

    code = "no_deployment_available"
    retryable = True


class DeadlineExceeded(GatewayError):
    """The caller's own deadline (``X-LLM-Timeout-S``) passed."""

    code = "deadline_exceeded"


class StreamCancelled(GatewayError):
    """The stream was ended before its answer was complete, by its owner or by a hang-up."""

    code = "stream_cancelled"


class KeyRevoked(GatewayError):
    """The api key was revoked while its request was running."""

    code = "key_revoked"


class LedgerUnavailable(GatewayError):
    """The record of the request cannot be kept, or the keys cannot be read, so nothing is begun."""

    code = "ledger_unavailable"
    retryable = True


class CacheUnavailable(GatewayError):
    """The shared store does not answer: the response cache cannot be purged, or a stream not be looked up."""

    code = "cache_unavailable"
    retryable = True


class IssuerUnavailable(GatewayError):
    """The presented token cannot be verified, because its issuer's keys cannot be fetched."""

    code = "issuer_unavailable"
    retryable = True


class OnlyIfCachedMiss(GatewayError):
    """The caller wants a kept answer or none (``only-if-cached``; RFC 9111, 5.2.1.7), and there is none."""

    code = "only_if_cached_miss"


class UpstreamError(LLMServiceError):
    """The provider failed, or could not be reached. ``usage``, ``cost``: what it bills all the same, where it says.

    ``other_key``: another one of the operator's credentials can be used at once. ``status``: the HTTP status that it
    gave or named for the failure; ``None`` for those below HTTP, and for answers
    that cannot be read. ``sent``: the request may have reached it, so that it may have worked, and bill.
    """

    code = "upstream_error"
    fault = "upstream"
    retryable = True
    status: int | None = None
    sent: bool = True
    other_key: bool = False
    usage: Usage | None = None
    cost: Cost | None = None


class UpstreamAuthFailed(UpstreamError):
    """The provider refused the operator's credential. Never a 401 to the caller: it is not the caller's key."""

    code = "upstream_auth_failed"
    retryable = False


class UpstreamNoBalance(UpstreamError):
    """The operator's account at the provider has no money left."""

    code = "upstream_no_balance"
    retryable = False


class UpstreamRateLimited(UpstreamError):
    """The provider limits us."""

    code = "upstream_rate_limited"


class UpstreamInvalidResponse(UpstreamError):
    """What the provider sent is not an answer."""

    code = "upstream_invalid_response"


class UpstreamTimeout(UpstreamError):
    """The provider was silent, or slower, for longer than its time-outs allow."""

    code = "upstream_timeout"


class StreamInterrupted(UpstreamError):
    """The provider's stream broke off after content had been sent; nothing is retried after that."""

    code = "stream_interrupted"
