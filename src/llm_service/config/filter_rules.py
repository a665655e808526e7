"""What must hold between the settings of a filter, and between filters."""

from collections.abc import Callable, Iterator

from llm_service.config.build import Builder
from llm_service.config.mistake import Mistake, shown
from llm_service.config.settings import Settings
from llm_service.filters import filter_problems


def filter_mistakes(settings: Settings, given: Builder, *, leads: Callable[[str], bool]) -> Iterator[Mistake]:
    """What is wrong with filters. ``leads``: whether a model of this name can be asked.

    What follows from a reported mistake is not reported.
    """
    if any(path == "filters" or path.startswith("filters[") for path in given.faulty):
        return  # what is left of the list is not numbered as it was given
    names: set[str] = set()
    for number, options in enumerate(settings.filters):
        at = f"filters[{number}]"
        if options.called in names:
            path = f"{at}.name"
            message = f"{path} is {shown(options.called)}, as another filter is called already: give it one of its own"
            yield Mistake.at(given.places.get(path, given.places[at]), message)
        names.add(options.called)
        for setting, message in filter_problems(options, leads=leads):
            path = f"{at}.{setting}"
            yield Mistake.at(given.places.get(path, given.places[at]), f"{path} {message}")
