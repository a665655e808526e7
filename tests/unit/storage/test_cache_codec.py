"""Any kept answer survives as bytes, and no other bytes are an answer."""

import pickle
import tracemalloc
import zlib
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import Head, KeptAnswer, Usage
from llm_service.storage import cache_codec
from llm_service.storage.cache_codec import HEADER_SLACK, packed, unpacked
from tests.support.answers import GROUPS, digest_of, kept_answer

MOST = 1_000_000
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
COUNTS = st.integers(0, 2**53)
SECONDS = st.floats(allow_nan=False, allow_infinity=False, width=64)
USAGES = st.builds(
    Usage, input_tokens=COUNTS, output_tokens=COUNTS, cached_input_tokens=COUNTS, reasoning_tokens=COUNTS
)
HEADS = st.builds(Head, provider=WORDS, model=WORDS, upstream_model=WORDS)
OTHERS: dict[str, Any] = {
    "digest": st.binary(min_size=32, max_size=32),
    "head": HEADS,
    "usage": st.none() | USAGES,
    "finish_reason": st.none() | WORDS,
    "upstream_id": st.none() | WORDS,
    "response_model": st.none() | WORDS,
    "nano_usd": st.integers(0, 2**63 - 1),
    "cost_source": st.sampled_from(["provider", "catalog", "estimate", "none"]),
    "stored_at": SECONDS,
    "fresh_s": SECONDS,
    "kept_s": SECONDS,
}


@st.composite
def answers(draw: st.DrawFn) -> KeptAnswer:
    pieces = draw(st.lists(st.binary(max_size=600), max_size=12))
    kinds = "".join(draw(st.lists(st.sampled_from("cfu"), min_size=len(pieces), max_size=len(pieces))))
    form = draw(st.sampled_from(["whole", "events"]))
    if form == "whole":
        pieces, kinds = [b"".join(pieces) * draw(st.integers(1, 20))], ""
    fields = {name: draw(strategy) for name, strategy in OTHERS.items()}
    return KeptAnswer(form=form, pieces=tuple(pieces), kinds=kinds, **fields)


def bytes_of(answer: KeptAnswer, groups: tuple[str, ...] = GROUPS) -> bytes:
    data = packed(answer, groups, max_bytes=MOST)
    assert data is not None
    return data


def read(data: bytes, digest: bytes = digest_of("a")) -> tuple[KeptAnswer, tuple[str, ...]] | None:
    return unpacked(data, digest=digest, max_bytes=MOST)


def framed(body: bytes, *, packing: int = 0, length: int | None = None) -> bytes:
    """A body in a frame that is right."""
    size = len(body) if length is None else length
    checksum = cache_codec._checksum(packing, size, body)
    return cache_codec._FRAME.pack(cache_codec.MAGIC, cache_codec.VERSION, packing, size, checksum) + body


def with_header(**changes: Any) -> bytes:
    """An entry in a frame that is right, and with a header that is not."""
    answer = kept_answer(at=1.5)
    header = orjson.dumps({**cache_codec._header(answer, GROUPS), **changes})
    return framed(len(header).to_bytes(4, "big") + header + b"".join(answer.pieces))


@given(answers(), st.lists(WORDS, max_size=5))
def test_answer_comes_back_as_it_was(answer: KeptAnswer, groups: list[str]) -> None:
    assert read(bytes_of(answer, tuple(groups)), answer.digest) == (answer, tuple(groups))


@given(st.data())
def test_changed_bytes_are_no_answer(data: st.DataObject) -> None:
    whole = bytearray(bytes_of(kept_answer(text="Hello. " * data.draw(st.sampled_from([1, 400])), at=1.5)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    assert read(bytes(whole)) is None


@given(st.data())
def test_cut_or_longer_bytes_are_no_answer(data: st.DataObject) -> None:
    whole = bytes_of(kept_answer(text="Hello. " * data.draw(st.sampled_from([1, 400])), at=1.5))
    assert read(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
    assert read(whole + data.draw(st.binary(min_size=1, max_size=9))) is None


@given(st.binary(max_size=300))
def test_foreign_bytes_are_no_answer(data: bytes) -> None:
    assert read(data) is None
    assert read(framed(data)) is None
    assert read(framed(data, packing=1)) is None
    assert read(framed(data, packing=2)) is None


def test_pickle_is_not_read() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("it was executed",))

    assert read(pickle.dumps(Bomb())) is None
    assert read(framed(pickle.dumps(Bomb()))) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": digest_of("b").hex()}, {"digest": "zz"}, {"digest": None}, {"form": "half"}, {"form": "whole"},
        {"form": ["events"]}, {"lengths": [1, 2]}, {"lengths": [-1, 90]}, {"lengths": 5}, {"lengths": [True, 2]},
        {"kinds": "c"}, {"kinds": "ce"}, {"kinds": ["c", "f"]}, {"head": ["a", "b", "c"]}, {"head": [1, "b", "c", 1]},
        {"usage": [1, 2, 3]}, {"usage": [1, 2, 3, "4"]}, {"usage": 7}, {"finish_reason": 1}, {"upstream_id": ["x"]},
        {"nano_usd": 1.5}, {"nano_usd": -1}, {"cost_source": "mine"}, {"stored_at": "now"}, {"stored_at": None},
        {"kept_s": True}, {"groups": [1]}, {"groups": None},
    ],
    ids=str,
)  # fmt: skip
def test_entry_with_a_wrong_field_is_no_answer(changes: dict[str, Any]) -> None:
    assert read(with_header()) is not None
    assert read(with_header(**changes)) is None


def test_entry_of_another_version_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes_of(kept_answer(at=1.5))
    monkeypatch.setattr(cache_codec, "VERSION", cache_codec.VERSION + 1)
    assert read(data) is None


def test_large_answer_is_compressed_and_a_small_one_is_not() -> None:
    small, large = (bytes_of(kept_answer(text="x" * size, at=1.5)) for size in (1, 5_000))
    assert b"chunk" not in large
    assert b"choices" in small
    assert len(large) < 1_000


def test_what_does_not_shrink_is_left_as_it_is() -> None:
    noise = b"".join(digest_of(number) for number in range(28_000))
    answer = replace(kept_answer(at=1.5), form="whole", pieces=(noise,), kinds="")
    assert noise in bytes_of(answer)


def test_bomb_is_not_inflated() -> None:
    body = b"\0" * 50_000_000
    bomb = zlib.compress(body, 9)
    tracemalloc.start()
    assert read(framed(bomb, packing=1, length=len(body))) is None
    assert read(framed(bomb, packing=1, length=MOST)) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MOST


def test_too_large_an_entry_is_neither_written_nor_read() -> None:
    answer = kept_answer(text="x" * 200_000, at=1.5)
    assert packed(answer, GROUPS, max_bytes=100_000) is None
    assert unpacked(bytes_of(answer), digest=answer.digest, max_bytes=100_000) is None
    assert packed(kept_answer(at=1.5), ["g" * (HEADER_SLACK + 1_000)], max_bytes=100) is None


def test_text_that_json_cannot_say_is_not_written() -> None:
    assert packed(replace(kept_answer(at=1.5), upstream_id="\ud800"), GROUPS, max_bytes=MOST) is None
