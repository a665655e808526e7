"""The semantic cache of one process: searches questions, learns new ones, and counts what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from llm_service.cache.options import SemanticOptions
from llm_service.cache.semantic.embedder import Embedder, Vector
from llm_service.cache.semantic.guard import Wording, agree, wording_of
from llm_service.cache.semantic.index import Asked, QuestionIndex
from llm_service.cache.semantic.judge import same_answer
from llm_service.cache.semantic.lane import Lane
from llm_service.cache.semantic.question import Question
from llm_service.domain import KeptAnswer
from llm_service.runtime import Clock

MOST_COMPARED: Final = 32
"""Of the questions that are alike enough, so many are put to the guard."""


@dataclass(slots=True, kw_only=True)
class SemanticCounts:
    """What came of the questions that were looked up by likeness, since the process began.

    ``searched``: those that were compared; ``skipped``: the embedder was not ready, or they were too long for it.
    ``alike``: some kept question was at least as much alike as the threshold; ``guarded``: it was, and the words of
    none agreed. ``would_be``: an answer was there to be given; ``served``: it was given. ``judged``: the new answer was
    compared with the one that would have been given; ``false_hits``: they did not say the same.
    """

    searched: int = 0
    skipped: int = 0
    alike: int = 0
    guarded: int = 0
    would_be: int = 0
    served: int = 0
    judged: int = 0
    false_hits: int = 0

    @property
    def false_hit_ratio(self) -> float | None:
        """False hits among those that were judged; ``None``: none was."""
        return self.false_hits / self.judged if self.judged else None


class Search:
    """A question on its way through the pipeline: its vector, and what kept questions agree with it, the best first.

    ``would_be``: the answer that it would have been given.
    """

    __slots__ = ("matches", "question", "vector", "wording", "would_be")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.wording: Wording | None = None
        self.vector: Vector | None = None
        self.matches: Sequence[Asked] = ()
        self.would_be: KeptAnswer | None = None


class SemanticCache:
    """Knows which questions of a bucket are alike. Answers stay in the exact cache, and are fetched there by digest.

    ``load`` makes the embedder, in a thread, when the first question comes. ``options`` may be replaced.
    """

    def __init__(
        self,
        options: SemanticOptions,
        *,
        load: Callable[[], Embedder],
        dimensions: int,
        clock: Clock,
        report: Callable[[Exception], None],
    ) -> None:
        self.counts = SemanticCounts()
        self.lane = Lane(load, report=report)
        self._options = options
        self._index = QuestionIndex(max_entries=options.max_entries, dimensions=dimensions)
        self._clock = clock

    @property
    def options(self) -> SemanticOptions:
        """The settings in force."""
        return self._options

    @options.setter
    def options(self, options: SemanticOptions) -> None:
        self._options = options
        self._index.max_entries = options.max_entries

    def __len__(self) -> int:
        return len(self._index)

    async def search(self, search: Search, *, own: bytes) -> None:
        """Find the questions that the search's agrees with; ``own``: the digest of its own request."""
        vector = await self._embed(search)
        if vector is None or search.wording is None:
            self.counts.skipped += 1
            return
        found = self._index.alike(search.question.bucket, vector, threshold=self._options.threshold)
        now = self._clock.time()
        alike = [asked for asked, _ in islice(found, MOST_COMPARED) if asked.digest != own and asked.ends_at > now]
        search.matches = [asked for asked in alike if agree(asked.wording, search.wording)]
        self.counts.searched += 1
        self.counts.alike += bool(alike)
        self.counts.guarded += bool(alike) and not search.matches

    def hit(self, asked: Asked, *, served: bool) -> None:
        """An answer was there for one of the matches, and was given if ``served``."""
        self._index.touch(asked.digest)
        self.counts.would_be += 1
        self.counts.served += served

    def forget(self, asked: Asked) -> None:
        """Its answer is not kept any more."""
        self._index.drop(asked.digest)

    async def learn(self, search: Search, *, digest: bytes, ends_at: float) -> None:
        """Remember a question that has a kept answer. ``ends_at``: until when it can be given, Unix seconds."""
        vector = await self._embed(search)
        if vector is not None and search.wording is not None:
            asked = Asked(bucket=search.question.bucket, digest=digest, wording=search.wording, ends_at=ends_at)
            self._index.add(asked, vector)

    async def judge(self, would_be: str, given: str) -> None:
        """Count whether the answer that would have been given says what was given."""
        same = await self.lane.run(partial(same_answer, would_be, given))
        if same is not None:
            self.counts.judged += 1
            self.counts.false_hits += not same

    def close(self) -> None:
        """Search no more."""
        self.lane.close()

    async def _embed(self, search: Search) -> Vector | None:
        if search.vector is None:
            read = await self.lane.run(partial(_read, search.question.text))
            if read is not None:
                search.vector, search.wording = read
        return search.vector


def _read(text: str, embedder: Embedder) -> tuple[Vector | None, Wording]:
    return embedder.embed(text), wording_of(text)
