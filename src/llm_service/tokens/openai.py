"""OpenAI's vocabularies, compiled into toktok."""

from collections.abc import Callable, Sequence

from llm_service.tokens.base import well_formed


class OpenAITokenizer:
    """One of OpenAI's encodings. Counts in the caller's thread, with the GIL free."""

    exact = True

    def __init__(self, name: str, *, batch_count: Callable[[Sequence[str], str, int], list[int]]) -> None:
        self.name = name
        self._batch_count = batch_count

    def count(self, text: str) -> int:
        return self.count_all((text,))

    def count_all(self, texts: Sequence[str]) -> int:
        """One call of the library, since each costs 35 µs however short the texts are (toktok 0.3.0, 2026-11-23)."""
        try:
            return sum(self._batch_count(texts, self.name, 1))
        except UnicodeEncodeError:
            return sum(self._batch_count([well_formed(text) for text in texts], self.name, 1))


def load_openai(encoding: str) -> OpenAITokenizer:
    """Finds the package; the encoding itself is built by the first count, which holds the GIL for 0.15 to 0.4 s."""
    import toktok

    return OpenAITokenizer(encoding, batch_count=toktok.batch_count)
