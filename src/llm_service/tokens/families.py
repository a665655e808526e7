"""Which vocabulary a model uses, told from its name."""

from enum import StrEnum
from typing import Final


class Family(StrEnum):
    """Models that share a vocabulary."""

    O200K_BASE = "o200k_base"
    CL100K_BASE = "cl100k_base"
    DEEPSEEK = "deepseek"
    ESTIMATE = "estimate"


# The first row that fits. After a name only a size, version or variant may follow (gpt-4-0613, gpt-4:free, not gpt-4x);
# after one that ends in a star, anything.
_ROWS: Final = (
    ("gpt-4o", Family.O200K_BASE),
    ("chatgpt-4o", Family.O200K_BASE),
    ("gpt-4.1", Family.O200K_BASE),
    ("gpt-4.5", Family.O200K_BASE),
    ("gpt-5", Family.O200K_BASE),
    ("gpt-5.*", Family.O200K_BASE),
    ("gpt-oss", Family.O200K_BASE),  # o200k_harmony: more special tokens, the same vocabulary for text
    ("o1", Family.O200K_BASE),
    ("o3", Family.O200K_BASE),
    ("o4", Family.O200K_BASE),
    ("codex-mini", Family.O200K_BASE),  # made of o4-mini
    ("gpt-4", Family.CL100K_BASE),
    ("gpt-3.5", Family.CL100K_BASE),
    ("gpt-35", Family.CL100K_BASE),  # as Azure writes it
    ("text-embedding-3", Family.CL100K_BASE),
    ("text-embedding-ada-002", Family.CL100K_BASE),
    ("davinci-002", Family.CL100K_BASE),
    ("babbage-002", Family.CL100K_BASE),
    # V3, R1 and V4 share vocabulary, merges and splitting; what came before them has vocabularies of its own.
    ("deepseek-llm", Family.ESTIMATE),
    ("deepseek-moe", Family.ESTIMATE),
    ("deepseek-math", Family.ESTIMATE),
    ("deepseek-coder", Family.ESTIMATE),
    ("deepseek-vl*", Family.ESTIMATE),
    ("deepseek-v2*", Family.ESTIMATE),
    # Ollama's tags of R1 distilled into Qwen and Llama
    ("deepseek-r1:1.5b", Family.ESTIMATE),
    ("deepseek-r1:7b", Family.ESTIMATE),
    ("deepseek-r1:8b", Family.ESTIMATE),
    ("deepseek-r1:14b", Family.ESTIMATE),
    ("deepseek-r1:32b", Family.ESTIMATE),
    ("deepseek-r1:70b", Family.ESTIMATE),
    ("deepseek*", Family.DEEPSEEK),
)
_ENDS: Final = ("", "-", ":", "@")
# In the name of a model that learned from DeepSeek's, but speaks with the vocabulary it had before.
_PUPILS: Final = ("distill", "qwen", "llama")


def family_of(model: str) -> Family:
    """The family of ``model``, however it is addressed; ``ESTIMATE`` for names that are not known."""
    name = bare_name(model)
    for start, family in _ROWS:
        if begins(name, start):
            is_pupil = family is Family.DEEPSEEK and any(word in name for word in _PUPILS)
            return Family.ESTIMATE if is_pupil else family
    return Family.ESTIMATE


def bare_name(model: str) -> str:
    """``gpt-4o:free`` of ``openrouter/openai/GPT-4o:free``; of a fine-tuned ``ft:gpt-4o:org::id`` what it began as."""
    return model.rpartition("/")[2].lower().removeprefix("ft:")


def begins(name: str, start: str) -> bool:
    """True if a row that says ``start`` is about ``name``."""
    if start.endswith("*"):
        return name.startswith(start[:-1])
    return name.startswith(start) and name[len(start) : len(start) + 1] in _ENDS
