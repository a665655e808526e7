"""Texts that refer to what was asked, so that a chat with the sandbox is fun to read and easy to check."""

from __future__ import annotations

import re
from typing import Final

from llm_service.sandbox.content.dice import Dice
from llm_service.sandbox.content.pieces import pieces

_ECHO: Final = re.compile(
    r"^\s*(?:echo|repeat after me|repeat exactly|say exactly)\s*:\s?(.*)$", re.IGNORECASE | re.DOTALL
)
_COUNT: Final = re.compile(r"\bcount (?:from (\d{1,6}) )?to (\d{1,6})\b", re.IGNORECASE)
_SUM: Final = re.compile(r"(-?\d{1,15})\s*([+*x/-])\s*(-?\d{1,15})")
_WORDS: Final = re.compile(r"\b(\d{1,6})[ -]words?\b", re.IGNORECASE)
_CODE: Final = re.compile(r"\b(code|function|script|program|python)\b", re.IGNORECASE)
_LIST: Final = re.compile(r"\b(list|steps|ideas|reasons|ways)\b", re.IGNORECASE)
_GREETING: Final = re.compile(r"^\s*(hi|hello|hey|good (morning|evening|day))\b", re.IGNORECASE)
_WORD: Final = re.compile(r"[^\W\d_]{4,}")

_MAX_COUNTED: Final = 2000
_QUOTE_CHARACTERS: Final = 80
_TOPIC_CHARACTERS: Final = 500
_INTENT_CHARACTERS: Final = 200

_SMALL_WORDS: Final = frozenset(
    """about answer because could does every from have here into just know like make more much only over please should
    some tell than that their them then there these they this very want were what when where which with word words
    would write your""".split()
)

_GREETINGS: Final = (
    "Hello! This is the sandbox speaking: no model, no bill, but very good manners. What shall we talk about?",
    "Good to see you. I am simulated from head to toe, so ask me anything and I shall answer the same way twice.",
    "Hi there! Nobody pays for these words, so let us use as many of them as we like.",
)
_OPENINGS: Final = (
    "You ask: “{quote}”. A good question for a sandbox.",
    "Let me think aloud about “{quote}”.",
    "“{quote}”, you say. Here is what a simulated mind makes of it.",
    "So this is about “{quote}”. I have no weights, yet I have an opinion.",
    "On “{quote}” the sandbox is of two minds, and here are both.",
)
_MIDDLES: Final = (
    "Most people stop at {a}, but the interesting part begins with {b}.",
    "If you take {a} seriously, {b} follows almost by itself.",
    "Start small: write {a} down on paper, then cross out everything that is not {b}.",
    "A careful engineer would measure {a} first and argue about {b} later.",
    "There is an old rule: {a} in the morning, {b} in the afternoon, rest in between.",
    "My seed tells me that {a} and {b} are closer than they look.",
    "Think of {a} as a bridge and of {b} as the river under it.",
    "Every story about {a} has a second chapter, and it is called {b}.",
)
_CLOSINGS: Final = (
    "That is all from the sandbox; a real model would charge you for it.",
    "Ask me again and I shall say exactly the same.",
    "Change one word of your question and watch this answer change.",
    "I hope that helps, as far as a deterministic text can.",
)
_THOUGHTS: Final = (
    "The user writes about {a}.",
    "I should mention {a} before {b}.",
    "Is {b} really meant? Probably.",
    "Keep it short, and be kind.",
    "Nothing here needs a real model.",
    "First {a}, then {b}, then a closing line.",
)


def answer_text(prompt: str, dice: Dice) -> str:
    """What the simulated model says to the last user message."""
    if echo := _ECHO.match(prompt):
        return echo[1]
    beginning = prompt[:_INTENT_CHARACTERS]
    if count := _COUNT.search(beginning):
        return _counted(int(count[1] or 1), int(count[2]))
    if words := _WORDS.search(beginning):
        return _of_length(prompt, dice, words=min(int(words[1]), 100_000))
    if problem := _SUM.search(beginning):
        return _calculated(int(problem[1]), problem[2], int(problem[3]))
    if _GREETING.match(prompt):
        return dice.pick(_GREETINGS)
    return _essay(prompt, dice)


def tool_result_text(name: str, result: str) -> str:
    """What the model says once a tool has answered."""
    return f"The tool {name} reports: {_shortened(result, 200)} That settles it."


def thought_text(prompt: str, dice: Dice) -> str:
    """What a thinking model thinks before it answers."""
    words = topics(prompt)
    return " ".join(_filled(dice.pick(_THOUGHTS), words, dice) for _ in range(dice.between(2, 4)))


def topics(prompt: str) -> list[str]:
    """Words worth talking about, longest first; never empty."""
    found = dict.fromkeys(_WORD.findall(prompt[:_TOPIC_CHARACTERS]))
    telling = [word for word in found if word.lower() not in _SMALL_WORDS]
    return sorted(telling, key=lambda word: (-len(word), word))[:8] or ["silence", "patience"]


def _essay(prompt: str, dice: Dice) -> str:
    words = topics(prompt)
    opening, closing = _opening(prompt, dice), dice.pick(_CLOSINGS)
    if _CODE.search(prompt[:_INTENT_CHARACTERS]):
        return f"{opening}\n\n{_program(words[0], dice)}\n\n{closing}"
    if _LIST.search(prompt[:_INTENT_CHARACTERS]):
        items = [f"{n}. {_middle(words, dice)}" for n in range(1, dice.between(3, 5) + 1)]
        return "\n".join([opening, "", *items, "", closing])
    return " ".join([opening, *(_middle(words, dice) for _ in range(dice.between(2, 4))), closing])


def _of_length(prompt: str, dice: Dice, *, words: int) -> str:
    subject, found = topics(prompt), list[str]()
    while len(found) < words:
        found.extend(_middle(subject, dice).split())
    return " ".join(found[:words])


def _counted(first: int, last: int) -> str:
    step = 1 if last >= first else -1
    return ", ".join(str(number) for number in range(first, last + step, step)[:_MAX_COUNTED]) + "."


def _calculated(left: int, sign: str, right: int) -> str:
    if sign == "/":
        value = "undefined" if right == 0 else f"{left / right:g}"
    else:
        value = str({"+": left + right, "-": left - right}.get(sign, left * right))
    return f"{left} {sign} {right} = {value}"


def _program(name: str, dice: Dice) -> str:
    return f"```python\ndef {name.lower()}(value: int) -> int:\n    return value * {dice.between(2, 99)}\n```"


def _opening(prompt: str, dice: Dice) -> str:
    if not prompt.strip():
        return "You said nothing, and I listened."
    return dice.pick(_OPENINGS).format(quote=_shortened(prompt, _QUOTE_CHARACTERS))


def _middle(words: list[str], dice: Dice) -> str:
    return _filled(dice.pick(_MIDDLES), words, dice)


def _filled(template: str, words: list[str], dice: Dice) -> str:
    first = dice.below(len(words))
    second = (first + 1 + dice.below(max(1, len(words) - 1))) % len(words)
    return template.format(a=words[first], b=words[second])


def _shortened(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"


def filler(prompt: str, dice: Dice, *, tokens: int) -> list[str]:
    """Exactly so many output tokens."""
    subject, found = topics(prompt), list[str]()
    while len(found) < tokens:
        found.extend(pieces(" " + _middle(subject, dice)))
    return found[:tokens]


def filling(size: int) -> str:
    """So many bytes of one letter after another."""
    return ("abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]
