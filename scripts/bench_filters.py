"""What the filters that judge here cost, in microseconds: a prompt of 22 kB, and a chunk of a stream.

python scripts/bench_filters.py

The best of many rounds in CPU time. Engines learn from texts: the last table has what they cost that are seen for the
first time, in a process that is new and in one that has seen others of the sort.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

import orjson

from llm_service.domain import Event
from llm_service.filters import FilterOptions, LocalFilter, Sieve, Text, build_filter

CHECKOUT: Final = Path(__file__).parents[1]
PROMPT_BYTES: Final = 22_000
ANSWER_CHARS: Final = 6_000
CHUNK_CHARS: Final = 20
ROUNDS: Final = 40
STREAMS: Final = 8
PARTS: Final = 4
WORDS: Final = (*(f"word{number}phrase" for number in range(4_990)), "fragile crate", "bomb recipe")
PATTERNS: Final = tuple(rf"\bPRJ-{number}\d{{4}}\b" for number in range(10))
ENGLISH: Final = (
    "The gateway keeps a journal of every request before the answer ends, and ships it to the database later on. "
)
RUSSIAN: Final = "Вчера вечером мы обсуждали, как сервис хранит записи и почему очередь не теряет сообщений. "
CHINESE: Final = "服务把每个请求的记录先写入日志，然后再写入数据库，这样即使进程中断也不会丢失任何内容。"  # noqa: RUF001


def main() -> None:
    """Print both tables."""
    filters: dict[str, LocalFilter] = {options.type: build_filter(options) for options in _settings()}
    learning = _learning(filters)
    columns = ("its forms", *filters)
    print(f"| prompt | {' | '.join(columns)} | all |")
    print("|---" * (len(columns) + 2) + "|")
    for name, text in _prompts().items():
        figures = _figures(filters, text)
        print(f"| {name} | {' | '.join(f'{one:.0f}' for one in figures)} | {sum(figures):.0f} |")
    judging = [one for kind, one in filters.items() if kind != "prompt_injection"]
    print(
        "\n| a chunk of 20 characters, one a read | no filter | " + " | ".join(one.type for one in judging) + " | all |"
    )
    print("|---" * (len(judging) + 3) + "|")
    for name, said in (("English", ENGLISH), ("Russian", RUSSIAN)):
        rows: Sequence[Sequence[LocalFilter]] = ([], *([one] for one in judging), judging)
        print(f"| {name} | {' | '.join(f'{_chunk_us(row, said):.1f}' for row in rows)} |")

    print("\n| texts of our manual and source, the median of as many | for the first time | once more |")
    print("|---|---|---|")
    for name, new, known in learning:
        print(f"| {name} | {new:.0f} | {known:.0f} |")


def _settings() -> Sequence[FilterOptions]:
    return (
        FilterOptions(type="keywords", words=WORDS),
        FilterOptions(type="regex", patterns=PATTERNS),
        FilterOptions(type="pii"),
        FilterOptions(type="secrets"),
        FilterOptions(type="prompt_injection"),
    )


def _prompts() -> Mapping[str, str]:
    return {
        "English prose": _cut(ENGLISH * 220)[0],
        "Russian prose": _cut(RUSSIAN * 140)[0],
        "Chinese prose": _cut(CHINESE * 180)[0],
        "our decision records": _cut(_files("docs/decisions/*.md"))[0],
        "our manual": _cut(_files("docs/*.md"))[0],
        "our source": _cut(_files("src/llm_service/filters/*.py"))[0],
    }


def _files(pattern: str) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in sorted(CHECKOUT.glob(pattern)))


def _cut(text: str) -> list[str]:
    """In prompts; what is left is dropped."""
    data = text.encode()
    parts = (data[at : at + PROMPT_BYTES] for at in range(0, len(data) - PROMPT_BYTES + 1, PROMPT_BYTES))
    return [part.decode(errors="ignore") for part in parts]


def _learning(filters: Mapping[str, LocalFilter]) -> Sequence[tuple[str, float, float]]:
    """What texts cost that come one after the other, by how many came before; and then all of them once more."""
    texts = _cut(_files("docs/**/*.md") + _files("src/**/*.py"))
    Random(1).shuffle(texts)  # noqa: S311 - an order, no secret
    new, known = ([_cost_us(partial(_judge, filters, text)) for text in texts] for _ in range(2))
    part = len(texts) // PARTS
    return [
        (f"{part} behind {at} others", median(new[at : at + part]), median(known[at : at + part]))
        for at in range(0, part * PARTS, part)
    ]


def _figures(filters: Mapping[str, LocalFilter], text: str) -> Sequence[float]:
    """For the forms, and for each filter on them."""
    made = _forms(text)
    finds = [lambda one=one: one.detector.find(made) for one in filters.values()]
    return [min(_cost_us(what) for _ in range(ROUNDS)) for what in (lambda: _forms(text), *finds)]


def _forms(text: str) -> Text:
    made = Text(text)
    _ = made.ascii, made.folded_data
    return made


def _judge(filters: Mapping[str, LocalFilter], text: str) -> None:
    made = Text(text)
    for one in filters.values():
        one.detector.find(made)


def _chunk_us(filters: Sequence[LocalFilter], said: str) -> float:
    text = (said * (ANSWER_CHARS // len(said) + 1))[:ANSWER_CHARS]
    events = [_event(number, text[at : at + CHUNK_CHARS]) for number, at in enumerate(range(0, len(text), CHUNK_CHARS))]
    return min(_cost_us(lambda: _stream(filters, events)) for _ in range(STREAMS)) / len(events)


def _stream(filters: Sequence[LocalFilter], events: Sequence[Event]) -> None:
    sieve = Sieve(filters, encode=orjson.dumps, report=_complain)
    for number, event in enumerate(events):
        sieve.feed([event], number / 100)


def _event(number: int, piece: str) -> Event:
    chunk: dict[str, Any] = {"id": "x", "choices": [{"index": 0, "delta": {"content": piece}}]}
    return Event(number + 1, orjson.dumps(chunk), "chunk", chunk=chunk)


def _cost_us(what: Callable[[], object]) -> float:
    begun = time.process_time_ns()
    what()
    return (time.process_time_ns() - begun) / 1_000


def _complain(name: str, defect: Exception) -> None:
    raise RuntimeError(f"the filter {name} failed") from defect


if __name__ == "__main__":
    main()
