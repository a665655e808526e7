"""Builders of the ledger's records with defaults, so that a test shows only what matters."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from llm_service.domain import ApiKey, KeySecret, UsageRecord
from llm_service.storage import ChainLink, LedgerRow

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def record(request_id: str = "req_1", **given: Any) -> UsageRecord:
    fields: dict[str, Any] = {
        "stream_id": None, "at": NOON, "key_id": "key_1", "user": None, "tags": {}, "surface": "rest",
        "model": "deepseek/deepseek-chat", "provider": "deepseek", "upstream_model": "deepseek-chat",
        "upstream_id": None, "input_tokens": 100, "output_tokens": 20, "cached_input_tokens": 10,
        "reasoning_tokens": 5, "nano_usd": 1_000, "cost_source": "catalog", "status": "ok",
    }  # fmt: skip
    return UsageRecord(request_id=request_id, **{**fields, **given})


def row(request_id: str = "req_1", *, writer: str = "writer-a", seq: int = 1, **given: Any) -> LedgerRow:
    link = ChainLink(writer=writer, seq=seq, previous=f"hash-{seq - 1}", hash=f"hash-{seq}")
    return LedgerRow(record=record(request_id, **given), link=link)


def rows(count: int, *, writer: str = "writer-a", first: int = 1, **given: Any) -> Sequence[LedgerRow]:
    """A writer's records, a second apart."""
    return [
        row(f"{writer}-{seq}", writer=writer, seq=seq, **{"at": NOON + timedelta(seconds=seq), **given})
        for seq in range(first, first + count)
    ]


def key(key_id: str = "key_1", **given: Any) -> ApiKey:
    fields: dict[str, Any] = {"name": "a key", "scopes": frozenset({"inference"}), "created_at": NOON}
    return ApiKey(id=key_id, **{**fields, **given})


def secret(key_id: str = "key_1", prefix: str | None = None, **given: Any) -> KeySecret:
    fields: dict[str, Any] = {"hash": "0f" * 32, "hash_key": "fingerprint", "created_at": NOON}
    return KeySecret(key_id=key_id, prefix=prefix or f"llms_{key_id}", **{**fields, **given})
