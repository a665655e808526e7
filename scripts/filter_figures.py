"""How much of each corpus of filters is found, how much is found that is nothing, and what it costs.

A corpus is ``tests/corpora/filters/<type>.json``, a list of ``{text, finds, language, evasion}``; beside it
``<type>.options.json`` has the settings of its filter. Secrets are invented and filled in, as in the tests.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

from llm_service.domain import chat_request
from llm_service.filters import Entity, FilterOptions, FilterType, LocalFilter, Text, build_filter, screened

CORPORA: Final = Path(__file__).parents[1] / "tests" / "corpora" / "filters"
ROUNDS: Final = 50
PROMPT_BYTES: Final = 22_000
PROSE: Final = "The quick brown fox jumps over the lazy dog, and nobody minds that it does so again and again. "
HEAD: Final = (
    "| filter | texts with a find | found | recall | disguised | harmless texts | found wrongly | 22 kB prompt |"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one corpus."""

    kind: str
    positives: int
    found: int
    disguised: int
    disguised_found: int
    negatives: int
    wrong: int
    prompt_us: float
    missed: Mapping[str, int]

    def row(self) -> str:
        """A line of the table."""
        share = _percent(self.disguised_found, self.disguised)
        return (
            f"| `{self.kind}` | {self.positives} | {self.found} | {_percent(self.found, self.positives)} | {share} | "
            f"{self.negatives} | {self.wrong} ({_percent(self.wrong, self.negatives)}) | {self.prompt_us:.0f} µs |"
        )


def main() -> None:
    """Print the table, and behind it which disguises were missed."""
    figures = [_figures(file) for file in sorted(CORPORA.glob("*.json")) if not file.name.endswith(".options.json")]
    print(HEAD)
    print("|" + "---|" * (HEAD.count("|") - 1))
    for one in figures:
        print(one.row())
    for one in figures:
        if one.missed:
            told = ", ".join(f"{count} of {name}" for name, count in sorted(one.missed.items()))
            print(f"\n`{one.kind}` missed: {told}.")


def _figures(file: Path) -> Figures:
    texts, detector = _texts(file), _filter(file)
    positives = [one for one in texts if one["finds"]]
    negatives = [one for one in texts if not one["finds"]]
    missed = [one for one in positives if not _finds(detector, one["text"])]
    disguised = [one for one in positives if _is_disguised(one)]
    return Figures(
        kind=file.stem,
        positives=len(positives),
        found=len(positives) - len(missed),
        disguised=len(disguised),
        disguised_found=len(disguised) - len([one for one in missed if _is_disguised(one)]),
        negatives=len(negatives),
        wrong=len([one for one in negatives if _finds(detector, one["text"])]),
        prompt_us=_prompt_us(detector),
        missed=Counter(f"{one['language']}, {one['evasion'] or 'plain'}" for one in missed),
    )


def _texts(file: Path) -> Sequence[Mapping[str, Any]]:
    if file.stem == "secrets":
        from tests.support.secret_forms import filled_corpus

        return cast(Callable[[Path], Sequence[Mapping[str, Any]]], filled_corpus)(file)
    texts: Sequence[Mapping[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return texts


def _filter(file: Path) -> LocalFilter:
    settings = file.with_suffix(".options.json")
    given = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    if file.stem == "pii":  # whatever there is: addresses of machines are left out by default
        options["entities"] = get_args(Entity)
    return build_filter(FilterOptions(type=cast(FilterType, file.stem), **options))


def _finds(one: LocalFilter, text: str) -> bool:
    return bool(one.detector.find(Text(text)))


def _is_disguised(one: Mapping[str, Any]) -> bool:
    return (one["evasion"] or "none") != "none"


def _prompt_us(one: LocalFilter) -> float:
    """What a prompt costs in which there is nothing, at best, in microseconds."""
    content = (PROSE * (PROMPT_BYTES // len(PROSE) + 1))[:PROMPT_BYTES]
    request = chat_request({"model": "m", "messages": [{"role": "user", "content": content}]})
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        screened([one], request, _complain)
        best = min(best, time.perf_counter() - begun)
    return best * 1e6


def _complain(name: str, defect: Exception) -> None:
    raise RuntimeError(f"the filter {name} failed") from defect


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    main()
