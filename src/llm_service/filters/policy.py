"""Which filters a request meets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from llm_service.domain import FilterAction
from llm_service.filters.detector import Detector
from llm_service.filters.options import FilterOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFilter:
    """One filter that judges by itself, ready for use."""

    name: str
    type: str
    action: FilterAction
    detector: Detector
    on_failure: Literal["open", "closed"] = "closed"
    reversible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The filters that requests of one kind meet, in the order of the settings.

    ``version`` names all of it that decides what an answer may be: answers under another one are others. ``input``,
    ``output``: what judges here; ``asking``: what is asked elsewhere (``moderation``, ``allowed_topics``).
    """

    version: str
    input: tuple[LocalFilter, ...] = ()
    output: tuple[LocalFilter, ...] = ()
    asking: tuple[FilterOptions, ...] = ()


NO_POLICY: Final = Policy(version="")
Filters = Sequence[LocalFilter]
