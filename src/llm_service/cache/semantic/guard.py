"""The guard beside likeness: what two questions must have in common, word by word, to get the same answer.

Embeddings take "is it safe" and "is it not safe" for nearly the same (0.99). So two questions agree only where all
their words do, in the same order, but for what `words.py` knows to be harmless: politeness, contractions, other ways to
begin, a few other names of the same thing. Whatever is not known counts, in every language: negations, numbers, units,
names, directions, and text in quotes to the letter.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final
from unicodedata import normalize

from llm_service.cache.semantic.words import CONTRACTIONS, LANGUAGES, NUMBERS, POLITE, SHOUTED, Language
from llm_service.domain import fact

_PIECES: Final = r"""(?sx)
    (?P<quoted> `+[^`]+`+ | "[^"]+" | “[^”]+” | „[^“”]+[“”] | «[^»]+» | (?<!\w)'[^'\n]+'(?!\w) )
  | (?P<address> \w+://\S+ | [\w.+-]+@[\w-]+(?:\.[\w-]+)+ | (?:\w+[./\\])+\w*[./\\]\w+ )
  | (?P<number> \d+(?:[.,]\d+)* )
  | (?P<name> [^\W\d]\w*[_\d]\w* | [^\W\d]+(?:\+\+|\#) | [@\#]\w+ | \$[^\W\d]\w* | [^\W\d_][\w]*\.[a-zA-Z]\w+ )
  | (?P<word> [^\W\d_]+(?:['\u2019][^\W\d_]+)* )
  | (?P<indent> \n[ \t]+ )
  | (?P<end> [.!?]+(?=\s|$) | [,;:](?=\s|$) | … )
  | (?P<other> [^\w\s] | _ )
"""
_CLOSING: Final = "\"'`“”„«»"
_THOUSANDS: Final = r"\d{1,3}(,\d{3})+(\.\d+)?"


@fact
class Wording:
    """A question's words as far as they count, as digests: the text itself is not kept.

    ``cased``: with its capitals, ``None`` where it is written without any (or in nothing else), so that they say
    nothing; ``plain``: without them.
    """

    cased: bytes | None
    plain: bytes


def wording_of(text: str) -> Wording:
    """The wording of a question."""
    words, capitals = _words_of(normalize("NFC", text.strip()))
    language = _language_of([word.lower() for word in words])
    return Wording(
        cased=_digest(_reduced(words, language)) if capitals else None,
        plain=_digest(_reduced([_plain(word) for word in words], language)),
    )


def agree(one: Wording, other: Wording) -> bool:
    """Whether two questions say the same, but for what is known to make no difference."""
    if one.cased is not None and other.cased is not None:
        return one.cased == other.cased
    return one.plain == other.plain


def _digest(words: Sequence[str]) -> bytes:
    return sha256("\0".join(words).encode("utf-8", "surrogatepass")).digest()


@lru_cache(maxsize=1)
def _pieces() -> re.Pattern[str]:
    return re.compile(_PIECES)


def _words_of(text: str) -> tuple[list[str], bool]:
    """All that counts in a text, in its order, and whether its capitals say something."""
    found: list[str] = []
    capitals = shouts = small = False
    begins = True
    for match in _pieces().finditer(text):
        kind, piece = match.lastgroup, match.group()
        if kind == "end":
            begins = begins or piece[0] in ".!?…"
            if piece[0] in ":;":
                found.append(piece[0])
            continue
        if kind == "word":
            word = piece.replace("\u2019", "'")
            upper = word[0].isupper() and word != "I" and not word.startswith("I'")
            shouted = len(word) > 1 and word.isupper()
            shouts, small = shouts or shouted, small or not word.isupper()
            capitals = capitals or shouted or (upper and not begins)
            found.extend(_spoken(word.lower() if begins and not shouted else word))
        elif kind == "number":
            found.append(_number(piece))
        elif kind == "quoted":
            found.append(f'"{piece.strip(_CLOSING)}"')
        else:
            found.append(piece.rstrip(".,;:!?") if kind == "address" else piece)
        begins = False
    if shouts and not small:  # everything is in capitals
        return [word.lower() if word.isalpha() else word for word in found], False
    return found, capitals


def _spoken(word: str) -> Sequence[str]:
    """A word without its contraction; written numbers as digits."""
    known = CONTRACTIONS.get(word.lower())
    if known is not None:
        return known.split(" ")
    lower = word.lower()
    if lower.endswith("n't"):
        return (word[:-3], "not")
    stem, mark, rest = word.rpartition("'")
    if mark and rest.lower() in ("s", "re", "ve", "ll", "d", "m"):
        return (stem, f"'{rest.lower()}")
    return (NUMBERS.get(lower, "i" if word == "I" else word),)


def _number(text: str) -> str:
    """``1,000.50`` as ``1000.5``; what can be read in two ways (``1.000``) stays as it is written."""
    if re.fullmatch(_THOUSANDS, text):
        text = text.replace(",", "")
    elif re.fullmatch(r"\d+,\d{1,2}", text):
        text = text.replace(",", ".")
    if re.fullmatch(r"\d+\.\d{1,2}", text):
        text = text.rstrip("0").rstrip(".")
    return text


def _plain(word: str) -> str:
    """A word in small letters, unless it is a quotation, an identifier, or in capitals another one."""
    lower = word.lower()
    if word in POLITE or (word.isupper() and lower in SHOUTED):
        return word
    return lower if word.isalpha() else word


def _language_of(words: Sequence[str]) -> Language | None:
    """The language of a text, where its most common words leave no doubt."""
    counts = [sum(word in language.cues for word in words) for language in LANGUAGES]
    most = max(counts)
    return LANGUAGES[counts.index(most)] if most and counts.count(most) == 1 else None


def _reduced(words: Sequence[str], language: Language | None) -> Sequence[str]:
    """Without what is known to be harmless in this language; in an unknown one everything counts."""
    if language is None:
        return words
    rest = _without(list(words), language.begins, at_end=False)
    rest = _without(rest, language.ends, at_end=True)
    for form, meaning in sorted(language.forms.items(), key=lambda pair: -len(pair[0])):
        told = form.split(" ")
        if rest[: len(told)] == told:
            rest = [*meaning.split(" "), *rest[len(told) :]]
            break
    kept: list[str] = []
    before = ""
    for word in rest:
        harmless = word in language.linking or (word in language.helping and before in language.asks)
        if not kept or not harmless:
            kept.append(language.same.get(word, word))
        before = word
    return kept


def _without(words: list[str], phrases: Sequence[str], *, at_end: bool) -> list[str]:
    """Without these phrases at one end, as often as they come there, as long as something is left."""
    told = sorted((phrase.split(" ") for phrase in phrases), key=len, reverse=True)
    while True:
        for phrase in told:
            there = words[-len(phrase) :] if at_end else words[: len(phrase)]
            if len(words) > len(phrase) and [word.lower() for word in there] == phrase:
                words = words[: -len(phrase)] if at_end else words[len(phrase) :]
                break
        else:
            return words
