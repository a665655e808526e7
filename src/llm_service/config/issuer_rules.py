"""What must hold between the settings of an issuer of tokens, and between issuers."""

from collections.abc import Iterator

from llm_service.config.build import Builder
from llm_service.config.mistake import Mistake, shown
from llm_service.config.settings import Settings
from llm_service.services import issuer_problems


def issuer_mistakes(settings: Settings, given: Builder) -> Iterator[Mistake]:
    """What is wrong with issuers. What follows from a reported mistake is not reported."""
    if any(path.startswith("auth.jwt") for path in given.faulty):
        return  # what is left of the list is not numbered as it was given
    names, issuers = set[str](), set[str]()
    for number, options in enumerate(settings.auth.jwt):
        at = f"auth.jwt[{number}]"
        for setting, value, others in (("name", options.name, names), ("issuer", options.issuer, issuers)):
            if value in others:
                message = f"{at}.{setting} is {shown(value)}, as that of another issuer is already"
                yield Mistake.at(given.places[f"{at}.{setting}"], message)
            others.add(value)
        for setting, message in issuer_problems(options):
            path = f"{at}.{setting}" if setting else at
            yield Mistake.at(given.places.get(path, given.places[at]), f"{path} {message}")
