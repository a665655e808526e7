"""What an operator does about an error: one line for every code of the tree in ``domain/errors.py``."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "invalid_json": "The caller sends no JSON object: nothing to do here.",
        "invalid_value": "The caller has to change its request: nothing to do here.",
        "missing_required_parameter": "The caller has to complete its request: nothing to do here.",
        "context_length_exceeded": "Give the model `context_fallbacks` of a larger window, or have prompts cut.",
        "content_filtered": "If a filter of `filters` is named and was wrong, loosen it; else set `content_fallbacks`.",
        "invalid_document": "The caller has to mend its GraphQL document, or it is missing among the trusted ones.",
        "document_too_complex": "Have callers ask for less at once, or raise the bounds in `graphql`.",
        "request_too_large": "Raise `server.max_body_bytes` if such requests are to be served.",
        "idempotency_key_reused": "The caller uses an Idempotency-Key twice for different requests.",
        "invalid_api_key": "See whether the caller's key was revoked or has expired (`keys list`).",
        "not_local": "Set `auth.admin_key`, and give callers from elsewhere keys of their own.",
        "model_not_allowed": "Add the model to the key's `models` if it may use it.",
        "scope_missing": "Add the scope to the key if it may do this.",
        "not_found": "The caller asks for an address that does not exist: look at its base URL.",
        "model_not_found": "Add the model to `models`, or its provider to `providers`.",
        "method_not_allowed": "The caller uses a wrong method: nothing to do here.",
        "rate_limit_exceeded": "Raise the limit that the answer names if this traffic is wanted (`/admin/limits`).",
        "concurrency_limit_exceeded": "Raise `concurrent_requests` where the answer says (`/admin/limits`), if wanted.",
        "budget_exceeded": "Raise the budget, or wait for its next period (`/admin/limits`).",
        "price_unknown": "Set the price under `prices`, or `limits.unknown_price: allow`.",
        "internal_error": "A defect of the service: report it, with the log's lines of this request id.",
        "overloaded": "Add workers or machines; `/health` says what is short (`routing.overload`).",
        "draining": "Nothing: the process was ending, and another one serves.",
        "provider_disabled": "Switch the provider on again (`llm-service providers enable`).",
        "no_deployment_available": "See in `/health` why its deployments are left alone; give it `fallbacks`.",
        "deadline_exceeded": "The caller's own X-LLM-Timeout-S was too short for this provider.",
        "stream_cancelled": "Nothing: its owner ended it.",
        "key_revoked": "Nothing: the key was revoked while the request ran.",
        "ledger_unavailable": "Make room on the disk of `server.data_dir`, or bring the database back (`/health`).",
        "cache_unavailable": "Bring the shared store back (`/health`); purge again, if it was a purge.",
        "issuer_unavailable": "See in the log why the keys of the token's issuer cannot be fetched (`auth.jwt`).",
        "only_if_cached_miss": "Nothing: the caller wanted a kept answer or none.",
        "upstream_error": "See the provider's status page, and give the model a second deployment or `fallbacks`.",
        "upstream_auth_failed": "Mend the provider's `api_key` (`providers test` says what is wrong).",
        "upstream_no_balance": "Top the provider's account up, or raise the spending limit of its key.",
        "upstream_rate_limited": "Have the provider raise the limit, set `limits.per_provider`, or add `api_keys`.",
        "upstream_invalid_response": "See whether `base_url` and `kind` of the provider are right; is a proxy between?",
        "upstream_timeout": "Raise the provider's `timeouts` if it is known to be slow; else give it `fallbacks`.",
        "stream_interrupted": "The provider or the network broke the stream off; the caller has to ask again.",
    }
)
"""By the error's code."""
