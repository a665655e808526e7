"""``import litellm``: writes the configuration, and says what became of each line of the other one."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from llm_service.cli.configuration import complain
from llm_service.cli.output import print_json, refuse
from llm_service.config import SettingsError
from llm_service.migration import BEYOND, Draft, Item, Outcome, from_litellm, problems, read_litellm, yaml_text

WITH_LOSSES: Final = 3
"""The exit code when a configuration was made, and something of the other one is not in it."""
_HEAD: Final = "# Made of {} by `llm-service import litellm`; its report tells what did not come over.\n"
_TITLES: Final = (
    (Outcome.LOST, "Not carried over"),
    (Outcome.CHANGED, "Carried over differently"),
)


def import_litellm(file: Path, *, output: Path | None, force: bool, as_json: bool) -> int:
    """Convert and report; the exit code."""
    try:
        draft = from_litellm(read_litellm(file))
    except SettingsError as error:
        return _unreadable(error, as_json=as_json)
    name = file.name if file.name.isprintable() else "a configuration of LiteLLM's"
    text = _HEAD.format(name) + "\n" + yaml_text(draft.settings)
    if wrong := problems(text, draft.settings):
        found = "; ".join(wrong)
        return refuse(f"{file} leads to a configuration that cannot be used: {found}", as_json=as_json)
    if output is not None and (why := _write(output, text, read=file, force=force)) is not None:
        return refuse(why, as_json=as_json)
    items = in_order(draft)
    if as_json:
        print_json(_as_object(draft, items, file=file, output=output, text=text))
    else:
        if output is None:
            print(text, end="")
        print("\n".join(_lines(draft, items, file=file, output=output)), file=sys.stderr)
    return WITH_LOSSES if any(item.outcome is Outcome.LOST for item in items) else 0


def in_order(draft: Draft) -> list[Item]:
    """As the file has its lines, included files behind it."""
    main = draft.source.place.source.name
    return sorted(draft.report.items, key=lambda item: _where(item, main))


def _where(item: Item, main: str) -> tuple[bool, str, int, int]:
    name = item.place.source.name
    return name != main, name, item.place.line, item.place.column


def _unreadable(error: SettingsError, *, as_json: bool) -> int:
    if as_json:
        return complain(error, as_json=True)
    for mistake in error.mistakes:
        print(mistake, file=sys.stderr)
    return 2


def _write(path: Path, text: str, *, read: Path, force: bool) -> str | None:
    """Write the file; why it is not written."""
    if path.resolve() == read.resolve():
        return f"{path} is the file that is read: give another name."
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return f"{path} is there already: give another name, or --force to replace it."
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}."
    return None


def _as_object(draft: Draft, items: Sequence[Item], *, file: Path, output: Path | None, text: str) -> dict[str, Any]:
    return {
        "ok": True,
        "source": str(file),
        "output": None if output is None else str(output),
        "configuration": text if output is None else None,
        "counts": {outcome.value: sum(item.outcome is outcome for item in items) for outcome in Outcome},
        "items": [_item_object(item) for item in items],
        "added": [{"to": one.to or None, "message": one.message} for one in draft.report.added],
        "variables": [{"name": one.name, "stood_in": [*one.stood_in]} for one in draft.variables.all()],
        "beyond": [*BEYOND],
    }


def _item_object(item: Item) -> dict[str, Any]:
    return {
        "path": item.path,
        "file": item.place.source.name,
        "line": item.place.line,
        "outcome": item.outcome.value,
        "to": item.to or None,
        "message": item.message or None,
    }


def _lines(draft: Draft, items: Sequence[Item], *, file: Path, output: Path | None) -> Iterator[str]:
    counts = {outcome: sum(item.outcome is outcome for item in items) for outcome in Outcome}
    yield (
        f"{file}: {counts[Outcome.CARRIED]} settings carried over, {counts[Outcome.CHANGED]} differently, "
        f"{counts[Outcome.LOST]} not."
    )
    for outcome, title in _TITLES:
        yield from _section(title, [item for item in items if item.outcome is outcome])
    if draft.report.added:
        yield "\nBesides:"
        yield from (f"  {one.to}: {one.message}" if one.to else f"  {one.message}" for one in draft.report.added)
    if variables := draft.variables.all():
        yield "\nVariables to set:"
        for variable in variables:
            stood = f"  (its value stands in {file.name}: {', '.join(variable.stood_in)})" if variable.stood_in else ""
            yield f"  {variable.name}{stood}"
    yield "\nWhat no file tells:"
    yield from (f"  {one}" for one in BEYOND)
    yield f"\nNext: llm-service check-config --config {output or '<the file>'}"


def _section(title: str, items: Iterable[Item]) -> Iterator[str]:
    """What is said of several values is said once, below all of them."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.message, []).append(item)
    if groups:
        yield f"\n{title}:"
    for message, group in groups.items():
        for item in group:
            to = f" -> {item.to}" if item.to else ""
            yield f"  {_place(item)}  {item.path}{to}"
        yield f"      {message}"


def _place(item: Item) -> str:
    return f"{item.place.source.name}:{item.place.line}"
