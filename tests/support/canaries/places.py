"""Where canaries are looked for, and which of them may be there: all that is not named here is a leak."""

import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from tests.support.canaries.marks import Canaries, group_of
from tests.support.canaries.site import Site

RECORDED: Final = frozenset(("user", "tag", "upstream id"))
"""What the record of a request has of it (docs/usage.md)."""
ANSWERED: Final = frozenset(("answer", "kept answer", "upstream id"))

MAY_BE: Final[Mapping[str, frozenset[str]]] = {
    # what callers are told
    "answers": ANSWERED,
    "explanations": frozenset(("user",)),
    "operations": frozenset(("answer", "upstream id", "asked name")),  # several answers and errors in one
    "errors": frozenset(("asked name",)),
    "errors that name what was asked": frozenset(("asked name",)),
    "answers to others": frozenset(("asked name",)),
    "new key": frozenset(("caller key",)),
    "new session": frozenset(("session",)),
    "upstream": frozenset(("provider key", "prompt", "refused", "asked name", "user")),
    # what operators are told
    "pages": frozenset(("user", "filter word")),
    "records": RECORDED,
    "events": frozenset(("asked name",)),
    "notices of alerts": frozenset(("webhook",)),
    "OTLP": frozenset(("collector", "upstream id", "asked name")),
    # what is left behind
    "output": frozenset(("filter word",)),  # of check-config
    "log": frozenset(("asked name",)),
    "database": RECORDED | {"kept answer"},
    "journal": RECORDED,
    "names of keys in the store": frozenset(("user",)),  # whose limits they are
    "values in the store": ANSWERED | {"tag"},  # answers for the cache and for resuming, found by their tags
    "words of processes": frozenset(),
    "other files": frozenset(),
}


Found = dict[str, dict[str, bytes]]
"""By place and kind: a piece in which it is."""


def found_in(canaries: Canaries, told: Mapping[str, Iterable[bytes]]) -> Found:
    """Which canaries are where."""
    found: Found = {}
    for place, pieces in told.items():
        for piece in pieces:
            found.setdefault(place, {}).update(dict.fromkeys(canaries.found_in(piece), piece))
    return found


def leaks(canaries: Canaries, found: Found) -> dict[str, dict[str, str]]:
    """Those that must not be where they are, each with what stands there."""
    wrong = {
        place: {
            kind: _around(canaries, piece, kind) for kind, piece in kinds.items() if group_of(kind) not in MAY_BE[place]
        }
        for place, kinds in found.items()
    }
    return {place: kinds for place, kinds in wrong.items() if kinds}


def _around(canaries: Canaries, piece: bytes, kind: str) -> str:
    """What stands there, for whoever has to mend it."""
    text = piece.decode(errors="replace")
    at = text.find(canaries.mark(kind)) if kind in canaries.kinds_of(group_of(kind)) else 0
    return text[max(0, at - 160) : at + 60]


async def look_at(site: Site) -> None:
    """What the running service keeps elsewhere, and its processes."""
    site.told["notices of alerts"] += site.alerted.heard
    site.told["OTLP"] += site.collector.heard
    names, values = in_the_store(site.store)
    site.told["names of keys in the store"] += names
    site.told["values in the store"] += values
    for process in (psutil.Process(site.service.pid), *psutil.Process(site.service.pid).children(recursive=True)):
        site.told["words of processes"].append(repr((process.name(), process.cmdline())).encode())
    look_at_files(site)


def look_at_files(site: Site) -> None:
    """Those that change and go while it runs."""
    for place, path in files_of(site):
        if place in ("database", "journal"):
            with suppress(FileNotFoundError):
                site.told[place].append(path.read_bytes())


def look_at_what_is_left(site: Site) -> None:
    """Its output, and every file, once it has ended."""
    site.told["output"] += [site.service.child.out.all().encode(), site.service.child.err.all().encode()]
    for place, path in files_of(site):
        site.told[place].append(path.read_bytes())


def files_of(site: Site) -> Iterator[tuple[str, Path]]:
    """All files that the service has written, each with its place."""
    settings = site.folder / "home" / "llm-service.yaml"
    strange = (site.folder / "valkey", site.folder / "defect")
    for path in sorted(site.folder.rglob("*")):
        if (
            path == settings
            or any(path.is_relative_to(one) for one in strange)
            or not stat.S_ISREG(path.lstat().st_mode)
        ):
            continue
        if path.is_relative_to(site.folder / "logs"):
            yield "log", path
        elif ".db" in path.name or ".sqlite" in path.name:
            yield "database", path
        elif path.suffix == ".journal":
            yield "journal", path
        else:
            yield "other files", path


READS: Final[Mapping[bytes, tuple[str, ...]]] = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"list": ("LRANGE", "0", "-1"),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
    b"stream": ("XRANGE", "-", "+"),
}


def in_the_store(store: Any) -> tuple[list[bytes], list[bytes]]:
    """The names of all keys, and their values."""
    names, values, cursor = [], [], b"0"
    while True:
        cursor, page = store.ask("SCAN", cursor, "COUNT", "1000")
        names += page
        if cursor == b"0":
            break
    for name in names:
        with suppress(KeyError):  # it has expired
            command, *more = READS[store.ask("TYPE", name)]
            values += list(flat(store.ask(command, name, *more)))
    return names, values


def flat(value: Any) -> Iterator[bytes]:
    """All texts of a reply."""
    if isinstance(value, list):
        for one in value:
            yield from flat(one)
    elif isinstance(value, bytes):
        yield value
