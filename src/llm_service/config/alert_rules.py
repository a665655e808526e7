"""What must hold between the rules of alerts, and between them and the notifiers."""

from collections.abc import Collection, Iterator, Sequence

from llm_service.alerts import DEFAULT_RULES, AlertOptions, rule_problems
from llm_service.config.build import Builder
from llm_service.config.later import suggestion
from llm_service.config.mistake import Mistake, shown
from llm_service.config.settings import Settings


def alert_mistakes(settings: Settings, given: Builder, *, providers: Collection[str]) -> Iterator[Mistake]:
    """What is wrong with alerts. What follows from a reported mistake is not reported."""
    yield from _notices_to_nobody("alerting.notify", settings.alerting.notify, settings, given)
    if any(path == "alerts" or path.startswith("alerts[") for path in given.faulty):
        return  # what is left of the list is not numbered as it was given
    yield from _wrong_rules(settings, given, providers)
    yield from _off_that_there_are_not(settings, given)


def _wrong_rules(settings: Settings, given: Builder, providers: Collection[str]) -> Iterator[Mistake]:
    names: set[str] = set()
    all_known = not any(path.startswith("providers") for path in given.faulty)
    for number, rule in enumerate(settings.alerts):
        at = f"alerts[{number}]"
        if rule.name in names:
            message = f"{at}.name is {shown(rule.name)}, as another rule is called already"
            yield Mistake.at(given.places[f"{at}.name"], message)
        names.add(rule.name)
        problems = tuple(rule_problems(rule))
        for field, message in problems:
            path = f"{at}.{field}"
            yield Mistake.at(given.places.get(path, given.places[at]), f"{path} {message}")
        if all_known and not problems:
            yield from _watches_nobody(at, rule, given, providers)
        yield from _notices_to_nobody(f"{at}.notify", rule.notify, settings, given)


def _notices_to_nobody(at: str, names: Sequence[str], settings: Settings, given: Builder) -> Iterator[Mistake]:
    if at in given.faulty or any(path.startswith("notifiers") for path in given.faulty):
        return
    for number, name in enumerate(names):
        if name not in settings.notifiers:
            path = f"{at}[{number}]"
            hint = suggestion(name, settings.notifiers)
            message = f"{path} is not the name of a configured notifier{hint}"
            yield Mistake.at(given.places.get(path, given.places[at]), message)


def _watches_nobody(at: str, rule: AlertOptions, given: Builder, providers: Collection[str]) -> Iterator[Mistake]:
    for number, name in enumerate(rule.providers):
        if name not in providers:
            path = f"{at}.providers[{number}]"
            message = f"{path} is not the name of a configured provider{suggestion(name, providers)}"
            yield Mistake.at(given.places.get(path, given.places[at]), message)


def _off_that_there_are_not(settings: Settings, given: Builder) -> Iterator[Mistake]:
    known = {rule.name for rule in (*settings.alerts, *DEFAULT_RULES)}
    for number, name in enumerate(settings.alerting.off):
        if name not in known and "alerting.off" not in given.faulty:
            path = f"alerting.off[{number}]"
            message = f"{path} is not the name of a rule{suggestion(name, known)}"
            yield Mistake.at(given.places.get(path, given.places["alerting.off"]), message)
