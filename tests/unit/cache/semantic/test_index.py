"""Which questions are remembered, and which are found."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.cache.semantic import index as source
from llm_service.cache.semantic.guard import wording_of
from llm_service.cache.semantic.index import Asked, QuestionIndex
from tests.support.embedding import with_packages

pytestmark = with_packages
HERE, THERE = b"here", b"there"


def vector(*parts: float) -> Any:
    import numpy as np

    made = np.array((*parts, *[0.0] * (4 - len(parts))), dtype=np.float32)
    return made / np.linalg.norm(made)


def asked(digest: bytes, bucket: bytes = HERE) -> Asked:
    return Asked(bucket=bucket, digest=digest, wording=wording_of("x"), ends_at=1.0)


def found(index: QuestionIndex, bucket: bytes = HERE, at: Any = None, threshold: float = 0.9) -> list[bytes]:
    at = vector(1) if at is None else at
    return [one.digest for one, _ in index.alike(bucket, at, threshold=threshold)]


@pytest.fixture
def index() -> QuestionIndex:
    return QuestionIndex(max_entries=3, dimensions=4)


def test_the_most_alike_comes_first_and_what_is_less_alike_not_at_all(index: QuestionIndex) -> None:
    index.add(asked(b"near"), vector(1, 0.3))
    index.add(asked(b"same"), vector(1))
    index.add(asked(b"far"), vector(1, 1))
    assert found(index) == [b"same", b"near"]


def test_questions_of_another_bucket_are_not_found(index: QuestionIndex) -> None:
    index.add(asked(b"a"), vector(1))
    assert found(index, THERE) == []


def test_what_was_not_of_use_longest_makes_room(index: QuestionIndex) -> None:
    for digest in (b"a", b"b", b"c"):
        index.add(asked(digest), vector(1))
    index.touch(b"a")
    index.add(asked(b"d", THERE), vector(1))
    assert sorted(found(index)) == [b"a", b"c"]
    assert found(index, THERE) == [b"d"]


def test_a_bucket_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_IN_BUCKET", 2)
    index = QuestionIndex(max_entries=100, dimensions=4)
    for digest in (b"a", b"b", b"c"):
        index.add(asked(digest), vector(1))
    assert sorted(found(index)) == [b"b", b"c"]


def test_a_digest_stands_for_its_newest_question(index: QuestionIndex) -> None:
    index.add(asked(b"a"), vector(0, 1))
    index.add(asked(b"a", THERE), vector(1))
    assert len(index) == 1
    assert (found(index), found(index, THERE)) == ([], [b"a"])


@given(st.lists(st.tuples(st.sampled_from("adt"), st.integers(0, 9), st.sampled_from([HERE, THERE]))))
def test_it_finds_what_a_plain_list_would_find(steps: list[tuple[str, int, bytes]]) -> None:
    index, kept = QuestionIndex(max_entries=5, dimensions=4), dict[bytes, bytes]()
    for what, number, bucket in steps:
        digest = b"%d" % number
        if what == "a":
            kept.pop(digest, None)
            if len(kept) == 5:
                del kept[next(iter(kept))]
            kept[digest] = bucket
            index.add(asked(digest, bucket), vector(number + 1, 1))
        elif what == "d":
            kept.pop(digest, None)
            index.drop(digest)
        elif digest in kept:
            kept[digest] = kept.pop(digest)
            index.touch(digest)
    assert len(index) == len(kept)
    for bucket in (HERE, THERE):
        for number in range(10):
            there = found(index, bucket, vector(number + 1, 1), 0.99999)
            assert (b"%d" % number in there) is (kept.get(b"%d" % number) == bucket)
