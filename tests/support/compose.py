"""compose.yaml and the files beside it as data, joined as the Compose Specification says (13-merge)."""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from tests.support.deploy import CHECKOUT, DEPLOY, yaml

ENVIRONMENTS = ("development", "staging", "production")
COMPOSE = CHECKOUT / "compose.yaml"
OVERRIDES = {name: DEPLOY / "compose" / f"{name}.yaml" for name in ENVIRONMENTS}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
HINT = "run scripts/compose-env"


def joined(environment: str) -> Any:
    """What an environment comes to."""
    return merged(deepcopy(yaml(COMPOSE)), yaml(OVERRIDES[environment]))


def merged(below: Any, above: Any) -> Any:
    """Maps by their names, lists one after the other, anything else replaced."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {name: merged(below[name], value) if name in below else value for name, value in above.items()}
    if isinstance(below, list) and isinstance(above, list):
        return [*below, *(one for one in above if one not in below)]
    return above


def texts(value: Any) -> Iterator[str]:
    """All that stands anywhere in it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif value is not None:
        yield str(value)


class MissingVariableError(Exception):
    """As compose says it, and does nothing more."""


def filled(text: str, variables: dict[str, str]) -> str:
    """With its variables. Raises MissingVariableError where one is asked for that is not there."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if variables.get(name):
            return variables[name]
        if kind == "?":
            raise MissingVariableError(f"required variable {name} is missing a value: {rest}")
        return rest if kind == "-" else ""

    return VARIABLE.sub(value, text).replace("$$", "$")
