"""What differs between two folders of locks: versions, what came and what went; a line each, the largest step first."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_PIN: Final = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
_STEPS: Final = ("major", "minor", "patch")


def pins(folder: Path) -> Mapping[str, str]:
    """The version of each package over all locks, which agree with each other; of several, all of them."""
    found: dict[str, set[str]] = {}
    for lock in sorted(folder.glob("*.lock")):
        for name, version in _PIN.findall(lock.read_text(encoding="utf-8")):
            found.setdefault(name.lower(), set()).add(version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """Package, what happened, former and new version."""
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, ""), after.get(name, "")
        if old != new:
            yield name, "new" if not old else "gone" if not new else step(old, new), old or "-", new or "-"


def step(old: str, new: str) -> str:
    """The first number that differs; below 1.0 the second one says what the first says above."""
    numbers = [re.findall(r"\d+", version) for version in (old, new)]
    differs = next((at for at, (one, other) in enumerate(zip(*numbers, strict=False)) if one != other), 2)
    if differs == 1 and numbers[0][0] == "0":
        return "major"
    return _STEPS[min(differs, 2)]


def main(before: str, after: str) -> None:
    """Print them; what has to be read about stands on top."""
    order = ("gone", "new", *_STEPS)
    rows = sorted(changes(pins(Path(before)), pins(Path(after))), key=lambda row: (order.index(row[1]), row[0]))
    for name, what, old, new in rows:
        print(f"{what:6} {name:32} {old} -> {new}")
    print(f"{len(rows)} packages differ")


if __name__ == "__main__":
    main(*sys.argv[1:])
