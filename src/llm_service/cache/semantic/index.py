"""Which questions were asked: their vectors, by bucket, and the digests of their answers. No text, and no answer."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

from llm_service.cache.semantic.embedder import Vector
from llm_service.cache.semantic.guard import Wording
from llm_service.domain import fact

MOST_IN_BUCKET: Final = 1_000
"""They are compared one by one on the event loop, some 25 µs for so many."""
_FIRST_ROWS: Final = 4


@fact
class Asked:
    """A question that has a kept answer. ``digest`` finds the answer; it is over at ``ends_at`` (Unix seconds)."""

    bucket: bytes
    digest: bytes
    wording: Wording
    ends_at: float


class QuestionIndex:
    """Bounded in questions, all together and in each bucket; what was not found longest makes room."""

    def __init__(self, *, max_entries: int, dimensions: int) -> None:
        self.max_entries = max_entries
        self._dimensions = dimensions
        self._asked: OrderedDict[bytes, Asked] = OrderedDict()
        self._buckets: dict[bytes, _Bucket] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def add(self, asked: Asked, vector: Vector) -> None:
        """Remember a question, in place of one with the same digest."""
        self.drop(asked.digest)
        bucket = self._buckets.setdefault(asked.bucket, _Bucket(self._dimensions))
        if len(bucket) >= MOST_IN_BUCKET:
            self.drop(bucket.oldest())
        while len(self._asked) >= self.max_entries:
            self.drop(next(iter(self._asked)))
        self._buckets.setdefault(asked.bucket, bucket).add(asked.digest, vector)
        self._asked[asked.digest] = asked

    def drop(self, digest: bytes) -> None:
        """Forget a question, if it is there."""
        asked = self._asked.pop(digest, None)
        if asked is not None:
            bucket = self._buckets[asked.bucket]
            bucket.drop(digest)
            if not len(bucket):
                del self._buckets[asked.bucket]

    def touch(self, digest: bytes) -> None:
        """A question was of use."""
        if digest in self._asked:
            self._asked.move_to_end(digest)

    def alike(self, bucket: bytes, vector: Vector, *, threshold: float) -> Iterator[tuple[Asked, float]]:
        """Questions of a bucket that are at least so much alike, with how much, the most alike first."""
        there = self._buckets.get(bucket)
        for digest, likeness in there.alike(vector, threshold) if there is not None else ():
            if (asked := self._asked.get(digest)) is not None:
                yield asked, likeness


class _Bucket:
    """Rows of a matrix that grows by doubling; the last row takes the place of one that goes."""

    def __init__(self, dimensions: int) -> None:
        import numpy as np

        self._rows: Any = np.empty((_FIRST_ROWS, dimensions), dtype=np.float32)
        self._digests: list[bytes] = []
        self._places: dict[bytes, int] = {}  # in the order in which they came

    def __len__(self) -> int:
        return len(self._digests)

    def oldest(self) -> bytes:
        return next(iter(self._places))

    def add(self, digest: bytes, vector: Vector) -> None:
        import numpy as np

        place = len(self._digests)
        if place == len(self._rows):
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        self._rows[place] = vector
        self._digests.append(digest)
        self._places[digest] = place

    def drop(self, digest: bytes) -> None:
        place, last = self._places.pop(digest), self._digests.pop()
        if last != digest:
            self._rows[place] = self._rows[len(self._digests)]
            self._digests[place] = last
            self._places[last] = place

    def alike(self, vector: Vector, threshold: float) -> list[tuple[bytes, float]]:
        likeness = self._rows[: len(self._digests)] @ vector
        found = [(self._digests[place], float(likeness[place])) for place in (likeness >= threshold).nonzero()[0]]
        return sorted(found, key=lambda pair: -pair[1])
