"""The semantic cache of a process, with an embedder that a test can read."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from llm_service.cache import Question, Search, SemanticCache, SemanticOptions
from llm_service.cache.semantic.lane import MOST_WAITING
from tests.support.clock import ManualClock
from tests.support.embedding import with_packages

pytestmark = with_packages
ASKED, REWORDED, OPPOSITE = "How do I pay?", "How can I pay?", "How do I not pay?"


class Alphabet:
    """Likeness by the first letter: all that begin with the same one are the same to it. Holds while it is shut."""

    dimensions = 26

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.read: list[str] = []

    def embed(self, text: str) -> Any:
        import numpy as np

        self.open.wait(5)
        self.read.append(text)
        if not text[0].isalpha():
            return None
        vector = np.zeros(26, dtype=np.float32)
        vector[ord(text[0].lower()) - ord("a")] = 1
        return vector


class Made:
    """A semantic cache that is ready, and what it reported."""

    def __init__(self, load: Callable[[], Any] | None = None) -> None:
        self.embedder = Alphabet()
        self.clock = ManualClock()
        self.failures: list[Exception] = []
        self.cache = SemanticCache(
            SemanticOptions(enabled=True),
            load=load or (lambda: self.embedder),
            dimensions=26,
            clock=self.clock,
            report=self.failures.append,
        )

    async def learn(self, text: str, digest: bytes = b"a", *, kept_s: float = 60.0) -> None:
        await self.cache.learn(search_of(text), digest=digest, ends_at=self.clock.time() + kept_s)

    async def matches(self, text: str, own: bytes = b"own", bucket: bytes = b"b") -> list[bytes]:
        search = search_of(text, bucket)
        await self.cache.search(search, own=own)
        return [asked.digest for asked in search.matches]


def search_of(text: str, bucket: bytes = b"b") -> Search:
    return Search(Question(bucket=bucket, text=text))


@pytest.fixture
async def made() -> Any:
    made = Made()
    assert await made.cache.lane.loaded()
    yield made
    made.embedder.open.set()
    made.cache.close()


async def test_what_says_the_same_is_found(made: Made) -> None:
    await made.learn(ASKED)
    assert await made.matches(REWORDED) == [b"a"]
    assert (made.cache.counts.searched, made.cache.counts.alike, made.cache.counts.guarded) == (1, 1, 0)


async def test_the_guard_overrules_likeness(made: Made) -> None:
    await made.learn(ASKED)
    assert await made.matches(OPPOSITE) == []
    assert (made.cache.counts.alike, made.cache.counts.guarded) == (1, 1)


async def test_what_is_over_of_another_bucket_or_its_own_is_not_found(made: Made) -> None:
    await made.learn(ASKED, kept_s=5)
    assert await made.matches(REWORDED, own=b"a") == []
    assert await made.matches(REWORDED, bucket=b"c") == []
    made.clock.advance(5)
    assert await made.matches(REWORDED) == []
    assert made.cache.counts.alike == 0


async def test_a_question_that_cannot_be_read_is_skipped(made: Made) -> None:
    await made.learn("5 apples?")
    assert await made.matches("5 apples?") == []
    assert (made.cache.counts.skipped, len(made.cache)) == (1, 0)


async def test_a_threshold_that_was_changed_holds_at_once(made: Made) -> None:
    await made.learn(ASKED)
    made.cache.options = SemanticOptions(enabled=True, threshold=1.0, max_entries=1)
    assert await made.matches(REWORDED) == [b"a"]
    await made.learn("Why?", b"b")
    assert len(made.cache) == 1


async def test_nobody_waits_for_the_model_to_be_loaded() -> None:
    gate = threading.Event()
    embedder = Alphabet()

    def load() -> Alphabet:
        gate.wait(5)
        return embedder

    made = Made(load)
    assert await made.matches(ASKED) == []
    assert made.cache.counts.skipped == 1
    gate.set()
    assert await made.cache.lane.loaded()
    await made.learn(ASKED)
    assert await made.matches(REWORDED) == [b"a"]
    made.cache.close()


async def test_a_model_that_cannot_be_loaded_is_reported_once_and_nothing_is_found() -> None:
    def load() -> Alphabet:
        raise ImportError("no such package")

    made = Made(load)
    assert not await made.cache.lane.loaded()
    assert await made.matches(ASKED) == await made.matches(ASKED) == []
    assert [*map(str, made.failures)] == ["no such package"]
    made.cache.close()


async def test_few_questions_wait_and_further_ones_are_skipped(made: Made) -> None:
    made.embedder.open.clear()
    searches = [asyncio.create_task(made.matches(ASKED)) for _ in range(MOST_WAITING + 3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made.cache.counts.skipped == 3
    made.embedder.open.set()
    await asyncio.gather(*searches)
    assert (made.cache.counts.searched, len(made.embedder.read)) == (MOST_WAITING, MOST_WAITING)


async def test_a_closed_cache_finds_nothing(made: Made) -> None:
    await made.learn(ASKED)
    made.cache.close()
    assert await made.matches(REWORDED) == []


async def test_judgements_are_counted(made: Made) -> None:
    assert made.cache.counts.false_hit_ratio is None
    await made.cache.judge("Yes.", "Yes.")
    await made.cache.judge("Yes.", "No.")
    assert (made.cache.counts.judged, made.cache.counts.false_hits) == (2, 1)
    assert made.cache.counts.false_hit_ratio == 0.5
