"""Whether a result would pass ``check-config``, before anybody has set the variables that it refers to."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from llm_service.config import SettingsError, load_settings

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")
_ADDRESSES: Final[Mapping[str, str]] = {
    "redis_url": "redis://example.invalid:6379",
    "base_url": "https://example.invalid",
    "webhook_url": "https://example.invalid",
    "url": "https://example.invalid",
    "otlp_endpoint": "https://example.invalid",
}


def stand_ins(settings: Mapping[str, Any]) -> dict[str, str]:
    """A value for each variable that settings refer to, of the form that belongs there."""
    return dict(_each(settings, ""))


def problems(text: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What ``check-config`` says against the result; nothing in most cases."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "llm-service.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            load_settings(path=path, environ=stand_ins(settings), cwd=Path(folder))
        except SettingsError as error:
            return tuple(mistake.message for mistake in error.mistakes)
    return ()


def _each(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _each(below, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _each(item, name)
    elif isinstance(value, str):
        for number, variable in enumerate(_REFERENCE.findall(value)):
            whole = number == 0 and value.startswith("${")
            yield variable, _ADDRESSES.get(name, "1") if whole else "1"
