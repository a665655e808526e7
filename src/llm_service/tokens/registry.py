"""The tokenizers by family, each built when first asked for, and the counts of texts and of chats."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from threading import Lock
from types import MappingProxyType
from typing import Final

from llm_service.domain import ModelRequest
from llm_service.tokens.base import TokenCount, Tokenizer, TokenizerUnavailable
from llm_service.tokens.chat import plain_input, take_apart
from llm_service.tokens.deepseek import load_deepseek
from llm_service.tokens.estimate import EstimatingTokenizer
from llm_service.tokens.families import Family, family_of
from llm_service.tokens.media import medium_tokens
from llm_service.tokens.openai import load_openai
from llm_service.tokens.size import PromptSize, prompt_size

Loader = Callable[[], Tokenizer]

LOADERS: Final[Mapping[Family, Loader]] = MappingProxyType(
    {
        Family.O200K_BASE: partial(load_openai, Family.O200K_BASE.value),
        Family.CL100K_BASE: partial(load_openai, Family.CL100K_BASE.value),
        Family.DEEPSEEK: load_deepseek,
        Family.ESTIMATE: EstimatingTokenizer,
    }
)

# Counted once after loading: a vocabulary that is damaged or changed is found here and not on an invoice.
_SAMPLE: Final = "Seven ships, 1234 crates; Grüße, 灯台! <|endoftext|><think>"
_SAMPLE_TOKENS: Final = MappingProxyType({Family.O200K_BASE: 23, Family.CL100K_BASE: 24, Family.DEEPSEEK: 25})


class Tokenizers:
    """Counts for any model: exact for the text of families whose vocabulary ships in a package, an estimate for others.

    Thread-safe. A family is loaded by its first use, which takes up to 0.7 s; OpenAI's hold the GIL all the while, so
    that no thread helps: whoever counts for known models calls ``load`` before it serves. Each stays in memory for
    good, per process: about 65 MB for o200k_base, 40 MB for cl100k_base, 70 MB for DeepSeek, and up to 20 MB more once
    long texts were counted. A KiB takes 40 to 120 µs; above 32 KiB count in a thread, since the GIL is free then.
    """

    def __init__(
        self, *, on_fallback: Callable[[TokenizerUnavailable], None], loaders: Mapping[Family, Loader] = LOADERS
    ) -> None:
        """``on_fallback`` hears, once a family, that its vocabulary does not work and its counts are estimates."""
        self._on_fallback = on_fallback
        self._loaders = loaders
        self._loaded: dict[Family, Tokenizer] = {}
        self._loading = Lock()

    def load(self, models: Iterable[str]) -> None:
        """Loads what these models need, so that no request has to wait for it."""
        for family in {family_of(model) for model in models}:
            self._tokenizer(family)

    def for_model(self, model: str) -> Tokenizer:
        """The tokenizer of ``model``; the estimating one where no vocabulary is known or its package does not work."""
        return self._tokenizer(family_of(model))

    def count_text(self, model: str, text: str) -> TokenCount:
        """Tokens of ``text`` alone, with no frame around it. Exact for a known family."""
        tokenizer = self.for_model(model)
        return TokenCount(tokens=tokenizer.count(text), estimated=not tokenizer.exact, tokenizer=tokenizer.name)

    def count_chat(
        self, model: str, messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]] | None = None
    ) -> TokenCount:
        """Input tokens of a chat, rather too many than too few. An estimate: only the provider knows its template.

        Texts are counted exactly where the family is known; the frame, tools (as JSON) and media go by stated rules.
        """
        tokenizer = self.for_model(model)
        prompt = take_apart(messages, tools)
        media_tokens = sum(medium_tokens(part, model=model) for part in prompt.media)
        tokens = prompt.frame_tokens + tokenizer.count_all(prompt.texts) + media_tokens
        return TokenCount(tokens=tokens, estimated=True, tokenizer=tokenizer.name)

    def count_input(self, model: str, request: ModelRequest) -> TokenCount:
        """Input tokens of any request, marked as an estimate: a chat as above, else the texts and token ids."""
        if request.operation == "chat":
            return self.count_chat(model, request.body["messages"], request.body.get("tools"))
        tokenizer = self.for_model(model)
        texts, ids = plain_input(request.body.get("prompt"), request.body.get("input"), request.body.get("suffix"))
        tokens = tokenizer.count_all(texts) + ids
        return TokenCount(tokens=tokens, estimated=True, tokenizer=tokenizer.name)

    def size_prompt(self, model: str, request: ModelRequest, *, up_to: int) -> PromptSize:
        """How many tokens a prompt surely has, and about; see :func:`prompt_size`."""
        return prompt_size(request, self.for_model(model), model=model, up_to=up_to)

    def _tokenizer(self, family: Family) -> Tokenizer:
        tokenizer = self._loaded.get(family)
        if tokenizer is not None:
            return tokenizer
        fault: TokenizerUnavailable | None = None
        with self._loading:
            tokenizer = self._loaded.get(family)
            if tokenizer is None:
                tokenizer, fault = self._load_or_estimate(family)
                self._loaded[family] = tokenizer
        if fault is not None:
            self._on_fallback(fault)
        return tokenizer

    def _load_or_estimate(self, family: Family) -> tuple[Tokenizer, TokenizerUnavailable | None]:
        try:
            return _checked(family, self._loaders[family]()), None
        except TokenizerUnavailable as fault:
            return EstimatingTokenizer(), fault
        except Exception as error:  # noqa: BLE001 - a broken package fails in ways of its own; all are told
            return EstimatingTokenizer(), _unavailable(family, error)


def _unavailable(family: Family, error: Exception) -> TokenizerUnavailable:
    fault = TokenizerUnavailable(family, f"{type(error).__name__}: {error}")
    fault.__cause__ = error
    return fault


def _checked(family: Family, tokenizer: Tokenizer) -> Tokenizer:
    """``tokenizer``, if it counts the sample rightly. This first count also builds what is built on first use."""
    expected, found = _SAMPLE_TOKENS.get(family), tokenizer.count(_SAMPLE)
    if expected is not None and found != expected:
        raise TokenizerUnavailable(family, f"counts {found} tokens where {expected} are right")
    return tokenizer
