"""A Dockerfile as data: as much of the format as ours uses, and anything else is an error."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = CHECKOUT / "Dockerfile"
_REFERENCE: Final = re.compile(r"\$\{(\w+)\}")
_OPTION: Final = re.compile(r"--([\w-]+)=(\S+)\s+")
_KNOWN: Final = frozenset(
    "ARG FROM LABEL COPY RUN ENV USER WORKDIR VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD".split()
)


class NotUnderstoodError(Exception):
    """The file says something that is not read here; the message quotes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One instruction. ``options``: its ``--name=value``; ``words``: what follows, as JSON or as a shell splits it."""

    name: str
    text: str
    options: Mapping[str, str]

    @property
    def in_exec_form(self) -> bool:
        """Whether no shell stands between."""
        return self.text.startswith("[")

    @property
    def words(self) -> Sequence[str]:
        if self.in_exec_form:
            words: list[str] = json.loads(self.text)
            return words
        return shlex.split(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """From one ``FROM`` to the next; ``arguments`` are the values of ``ARG`` that hold in it."""

    base: str
    name: str
    arguments: Mapping[str, str]
    steps: Sequence[Step]

    def all(self, name: str) -> list[Step]:
        """The steps of a kind, in their order."""
        return [step for step in self.steps if step.name == name]

    def last(self, name: str) -> Step:
        """The one that holds. Raises NotUnderstoodError where there is none."""
        found = self.all(name)
        if not found:
            raise NotUnderstoodError(f"the stage {self.name or self.base} has no {name}")
        return found[-1]

    def pairs(self, name: str) -> dict[str, str]:
        """What ``ENV`` or ``LABEL`` set."""
        words = [word.partition("=") for step in self.all(name) for word in step.words]
        return {name: value for name, _, value in words}


def read(path: Path = DOCKERFILE, **arguments: str) -> Sequence[Stage]:
    """The stages of a file, with these values for its ``ARG``. Raises NotUnderstoodError."""
    outside: dict[str, str] = {}
    stages: list[tuple[str, str, dict[str, str], list[Step]]] = []
    for name, text in instructions(path.read_text(encoding="utf-8")):
        known = stages[-1][2] if stages else outside
        if name == "ARG":
            given, _, default = text.partition("=")
            known[given] = arguments.get(given, default or outside.get(given, ""))
        elif name == "FROM":
            base, *alias = filled(text, outside).split()
            stages.append((base, alias[1] if alias else "", {}, []))
        elif not stages:
            raise NotUnderstoodError(f"{name} before FROM")
        else:
            # The environment is the shell's to fill in where a shell runs.
            stages[-1][3].append(step_of(name, filled(text, known)))
    return [Stage(base=base, name=name, arguments=known, steps=steps) for base, name, known, steps in stages]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Name and text of each, its lines joined, comments away."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    for line in whole.splitlines():
        name, _, rest = line.strip().partition(" ")
        if name not in _KNOWN:
            raise NotUnderstoodError(line)
        yield name, rest.strip()


def step_of(name: str, text: str) -> Step:
    options = {}
    while found := _OPTION.match(text):
        options[found[1]] = found[2]
        text = text[found.end() :]
    if name == "HEALTHCHECK":
        text = text.removeprefix("CMD").strip()
    return Step(name=name, text=text, options=options)


def filled(text: str, arguments: Mapping[str, str]) -> str:
    """With the values of ``${NAME}`` that the build knows."""
    return _REFERENCE.sub(lambda found: arguments.get(found[1], found[0]), text)
