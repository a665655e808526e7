"""Every secret of the settings, for whoever has to keep them out of something."""

from collections.abc import Iterator, Mapping

from llm_service.config.settings import Settings
from llm_service.config.shape import Group, ListOf, MapOf, Shape, describe
from llm_service.domain import Secret


def secrets_of(settings: Settings) -> tuple[Secret, ...]:
    """Credentials, and the values of settings that may hold some, such as headers."""
    return tuple(_below(describe(Settings), settings))


def _below(shape: Shape, value: object) -> Iterator[Secret]:
    if isinstance(value, Secret):
        yield value
    elif isinstance(shape, Group) and value is not None:
        for setting in shape.settings.values():
            yield from _below(setting.shape, getattr(value, setting.field))
    elif isinstance(shape, ListOf) and isinstance(value, tuple):
        for one in value:
            yield from _below(shape.item, one)
    elif isinstance(shape, MapOf) and isinstance(value, Mapping):
        for one in value.values():
            if shape.confidential and isinstance(one, str) and one:
                yield Secret(one)
            else:
                yield from _below(shape.value, one)
