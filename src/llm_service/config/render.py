"""Settings as plain data for people to read: every secret masked."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from llm_service.config.settings import Settings
from llm_service.config.shape import Group, MapOf, describe
from llm_service.domain import MASK, Secret


def rendered(settings: Settings) -> dict[str, Any]:
    """All settings, defaults included, in the form of the file; fit for JSON and YAML, without any secret."""
    return _group(describe(Settings), settings)


def _group(group: Group, options: object) -> dict[str, Any]:
    return {
        name: rendered_value(setting.shape, getattr(options, setting.field)) for name, setting in group.settings.items()
    }


def rendered_value(shape: object, value: object) -> Any:
    """One value of a shape, rendered alike."""
    match value:
        case Secret():
            return MASK
        case Path() | Decimal():
            return str(value)
        case Mapping() if isinstance(shape, MapOf):
            return {
                name: MASK if shape.confidential else rendered_value(shape.value, below)
                for name, below in value.items()
            }
        case tuple():
            return [rendered_value(getattr(shape, "item", None), below) for below in value]
        case _ if isinstance(shape, Group) and value is not None:
            return _group(shape, value)
        case _:
            return value
