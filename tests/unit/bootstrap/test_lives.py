"""Who may hold an Idempotency-Key: what cannot be seen to die is not taken for dead."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from llm_service.bootstrap.sharing import build_lives


class Vitals:
    async def lives(self, holder: str) -> bool:
        return holder == "me"


@pytest.mark.parametrize(
    ("database", "limits", "other_lives"),
    [
        ("machine", "process", False),
        ("machine", "machine", False),
        ("cluster", "cluster", False),
        ("cluster", "process", True),
        ("cluster", "machine", True),
    ],
)
async def test_a_process_is_dead_only_where_its_death_can_be_seen(
    database: str, limits: str, other_lives: bool
) -> None:
    stores = SimpleNamespace(
        database=SimpleNamespace(reach=database), limits=SimpleNamespace(reach=limits), holder="me", vitals=Vitals()
    )
    lives = build_lives(cast(Any, stores))
    assert (await lives("me"), await lives("other")) == (True, other_lives)
