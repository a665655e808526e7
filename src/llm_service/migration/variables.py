"""Where the result refers to variables of the environment, and which of them to set: no secret is copied in clear."""

import re
from collections.abc import Iterable
from typing import Final

from llm_service.domain import fact
from llm_service.migration.source import Found

_UNFIT: Final = re.compile(r"[^A-Za-z0-9_]")


@fact
class Variable:
    """A variable that the result refers to. ``stood_in``: paths of the file where its value was written out."""

    name: str
    stood_in: tuple[str, ...] = ()


class Variables:
    """Hands out references. The same secret has the same variable wherever it stands."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """``taken``: names that the file refers to anywhere, so that no other secret gets them."""
        self._taken = set(taken)
        self._literals: dict[str, str] = {}
        self._named: dict[str, list[str]] = {}

    def refer(self, name: str) -> str:
        """To a variable that the file names, or that is read where it names none."""
        fit = fit_name(name)
        self._named.setdefault(fit, [])
        return f"${{{fit}}}"

    def secret(self, found: Found, text: str, *, name: str) -> str:
        """In place of a secret that the file holds; ``name`` is what its variable is called if that is free."""
        if text not in self._literals:
            self._literals[text] = self._free(fit_name(name))
        fit = self._literals[text]
        self._named.setdefault(fit, []).append(found.path)
        return f"${{{fit}}}"

    def all(self) -> tuple[Variable, ...]:
        """In the order of their first use."""
        return tuple(Variable(name=name, stood_in=tuple(paths)) for name, paths in self._named.items())

    def _free(self, name: str) -> str:
        number, free = 1, name
        while free in self._taken or free in self._literals.values():
            number += 1
            free = f"{name}_{number}"
        return free


def fit_name(name: str) -> str:
    """A name that a reference can have."""
    fit = _UNFIT.sub("_", name) or "VALUE"
    return f"_{fit}" if fit[0].isdigit() else fit
