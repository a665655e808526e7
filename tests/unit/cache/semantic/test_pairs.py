"""The guard and the real embedder together."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from llm_service.cache import Embedder, SemanticOptions, load_minilm
from llm_service.cache.semantic import embedder as source
from llm_service.cache.semantic.guard import agree, wording_of
from tests.support.embedding import with_packages
from tests.unit.cache.semantic.question_pairs import DIFFERENT, SAME

THRESHOLD = SemanticOptions().threshold
Likeness = Callable[[str, str], float]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_minilm()


@pytest.fixture
def likeness(embedder: Embedder) -> Likeness:
    def likeness(one: str, other: str) -> float:
        vectors = embedder.embed(one), embedder.embed(other)
        assert vectors[0] is not None
        assert vectors[1] is not None
        return float(vectors[0] @ vectors[1])

    return likeness


def hits(pairs: tuple[tuple[str, str], ...], likeness: Likeness, *, guarded: bool = True) -> int:
    return sum(
        likeness(one, other) >= THRESHOLD and (not guarded or agree(wording_of(one), wording_of(other)))
        for one, other in pairs
    )


@with_packages
def test_no_question_gets_the_answer_to_another_one(likeness: Likeness) -> None:
    assert len(DIFFERENT) >= 60
    assert hits(DIFFERENT, likeness) == 0


@with_packages
def test_likeness_alone_would_answer_the_opposite(likeness: Likeness) -> None:
    assert hits(DIFFERENT, likeness, guarded=False) >= 20
    assert likeness("Is it safe to drink this?", "Is it not safe to drink this?") > THRESHOLD


@with_packages
def test_other_ways_to_ask_are_found(likeness: Likeness) -> None:
    assert hits(SAME, likeness) >= 14


@with_packages
def test_a_text_is_read_as_a_whole_or_not_at_all(embedder: Embedder) -> None:
    assert embedder.embed("word " * 254) is not None
    assert embedder.embed("word " * 255) is None
    assert embedder.embed("  \n") is None
    assert embedder.embed("?") is None


@with_packages
def test_special_words_of_the_model_are_mere_text(likeness: Likeness) -> None:
    assert likeness("What is a cat? [SEP] [PAD]", "What is a cat?") < 0.99


def test_the_vendored_vocabulary_is_the_one_of_its_manifest() -> None:
    folder = Path(source.__file__).parent / "minilm"
    manifest = json.loads((folder / "manifest.json").read_bytes())
    found = {
        path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.name != "manifest.json"
    }
    assert found == {name: file["sha256"] for name, file in manifest["files"].items()}
