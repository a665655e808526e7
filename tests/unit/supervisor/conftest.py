"""Editions of settings, without files."""

from collections.abc import Callable

import pytest

from llm_service.config import Loaded, Settings
from llm_service.supervisor import Edition, first_edition
from tests.support.clock import ManualClock

EditionOf = Callable[..., Edition]


def loaded(settings: Settings, **other: object) -> Loaded:
    facts = {"source_path": None, "fingerprint": "f", "provenance": {}, "notes": ()}
    return Loaded(settings=settings, **{**facts, **other})  # type: ignore[arg-type]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def edition_of(clock: ManualClock) -> EditionOf:
    def make(settings: Settings | None = None) -> Edition:
        return first_edition(loaded(settings or Settings()), clock)

    return make
