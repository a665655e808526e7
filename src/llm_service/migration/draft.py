"""The configuration while it is made: its settings, what is said of the file, and the variables that it refers to."""

from collections.abc import Iterable
from typing import Any

from llm_service.migration.report import Report
from llm_service.migration.source import Found
from llm_service.migration.variables import Variables


class Draft:
    """Settings as maps, lists and single values, in the order in which people read them."""

    def __init__(self, source: Found, *, taken: Iterable[str] = ()) -> None:
        """``taken``: variables that the file refers to."""
        self.source = source
        self.report = Report()
        self.variables = Variables(taken)
        self.settings: dict[str, Any] = {}

    def put(self, path: str, value: Any) -> None:
        """Set one, by its path; names in it have no dots. One that is set already stays."""
        *groups, name = path.split(".")
        group = self.settings
        for one in groups:
            group = group.setdefault(one, {})
        group.setdefault(name, value)
