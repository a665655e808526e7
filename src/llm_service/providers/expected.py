"""The fields that the adapters expect of free endpoints, so that somebody notices when a provider changes them.

Sources: openrouter.ai/docs and its OpenAPI file; api-docs.deepseek.com (seen 2026-11-23).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final

from llm_service.domain import fact_in_order
from llm_service.providers.listing import entries_of
from llm_service.providers.options import ProviderKind

_SHOWN: Final = 200


@fact_in_order
class Fields:
    """An object's fields. ``needed``: what the adapter reads. ``known``: what may come besides; ``None``: anything.

    ``below``: the fields of those that are objects, or lists of objects.
    """

    needed: frozenset[str]
    known: frozenset[str] | None = frozenset()
    below: Mapping[str, "Fields"] = field(default_factory=lambda: MappingProxyType({}))


@fact_in_order
class Expected:
    """Of the entries of a catalogue, and of the account's bodies in the order of their addresses."""

    model: Fields
    account: tuple[Fields, ...] = ()


@fact_in_order
class FieldDrift:
    """What differs in a body: fields that the adapter misses, and such as are new, each with how often of how many."""

    missing: Mapping[str, tuple[int, int]]
    new: Mapping[str, tuple[int, int]]


def _fields(needed: str, known: str | None = "", **below: Fields) -> Fields:
    return Fields(
        frozenset(needed.split()), None if known is None else frozenset(known.split()), MappingProxyType(below)
    )


EXPECTED: Final[Mapping[ProviderKind, Expected]] = MappingProxyType(
    {
        "openai_compatible": Expected(_fields("id", None)),
        "deepseek": Expected(
            _fields("id", "object owned_by"),
            (
                _fields(
                    "is_available balance_infos",
                    balance_infos=_fields("currency total_balance", "granted_balance topped_up_balance"),
                ),
            ),
        ),
        "openrouter": Expected(
            _fields(
                "id name created context_length architecture pricing top_provider supported_parameters",
                """canonical_slug description per_request_limits default_parameters expiration_date knowledge_cutoff
                hugging_face_id links reasoning alias_target supported_voices""",
                architecture=_fields("input_modalities output_modalities", "modality tokenizer instruct_type"),
                pricing=_fields(
                    "prompt completion",
                    """request image image_token image_output audio audio_output web_search internal_reasoning discount
                    input_cache_read input_cache_write input_cache_write_1h input_audio_cache overrides""",
                ),
                top_provider=_fields("max_completion_tokens", "context_length is_moderated"),
            ),
            (
                _fields(
                    "limit_remaining",
                    """label limit limit_reset include_byok_in_limit usage usage_daily usage_weekly usage_monthly
                    byok_usage byok_usage_daily byok_usage_weekly byok_usage_monthly is_free_tier is_management_key
                    is_provisioning_key expires_at creator_user_id rate_limit""",
                ),
                _fields("total_credits total_usage"),
            ),
        ),
    }
)


def catalogue_drift(raw: bytes, expected: Expected) -> FieldDrift:
    """What differs in the entries of a catalogue. Raises UpstreamInvalidResponse where it is none."""
    return _drift(entries_of(raw), expected.model)


def account_drift(bodies: Sequence[bytes], expected: Expected) -> FieldDrift:
    """What differs in the bodies of an account; empty ones, to which access was refused, are passed over."""
    missing: dict[str, tuple[int, int]] = {}
    new: dict[str, tuple[int, int]] = {}
    for raw, fields in zip(bodies, expected.account, strict=False):
        if raw:
            drift = _drift([_account_object(raw)], fields)
            missing |= drift.missing
            new |= drift.new
    return FieldDrift(missing, new)


def _account_object(raw: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    inner = told.get("data") if isinstance(told, dict) else None
    found = inner if isinstance(inner, dict) else told
    return found if isinstance(found, dict) else {}


def _drift(objects: Sequence[Mapping[str, Any]], fields: Fields, path: str = "") -> FieldDrift:
    missing = {path + name: sum(name not in one for one in objects) for name in sorted(fields.needed)}
    told: dict[str, int] = {}
    for one in objects:
        for name in one:
            if fields.known is not None and name not in fields.known and name not in fields.needed:
                told[path + name[:_SHOWN]] = told.get(path + name[:_SHOWN], 0) + 1
    whole = len(objects)
    found = FieldDrift(
        {name: (count, whole) for name, count in missing.items() if count},
        {name: (count, whole) for name, count in sorted(told.items())},
    )
    for name, below in fields.below.items():
        inner = _drift([inside for one in objects for inside in _inside(one.get(name))], below, f"{path}{name}.")
        found = FieldDrift({**found.missing, **inner.missing}, {**found.new, **inner.new})
    return found


def _inside(value: object) -> list[Mapping[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]
