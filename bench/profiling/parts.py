"""The parts of the way of a request, and to which of them a frame of the interpreter belongs.

What is called counts for the innermost part that stands in the stack: a call of orjson, of ``domain`` or of ``runtime``
for the stage that makes it. So a stage that comes to call more is seen, wherever what it calls is written.
"""

from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import uvicorn

import llm_service

LOOP: Final = "event loop"
HARNESS: Final = "harness"
"""What watches; it is left out."""

WAY: Final = (
    LOOP,
    "server",
    "door",
    "services",
    "row",
    *(
        f"stage {name}"
        for name in """observe shed resolve check screen remember replay rank admit moderate share account vet sift
        call""".split()
    ),
    "closing",
    "way out",
    "admission",
    "limit store",
    "cache",
    "streams",
    "routing",
    "provider",
    "transport",
    "prices",
    "tokens",
    "filters",
    "ledger",
    "database",
    "storage",
    "observability",
)
"""Parts in the order in which a request comes by; others follow by name."""

NOBODY: Final = ("domain", "runtime")
"""Rooms whose code counts for whoever calls it."""
TIMERS: Final = "timers"
"""What a clock starts, no request; how much of it there is depends on the moment."""
OF_TIMERS: Final = (("runtime", "loop_lag"), ("services", "provider_health"))
CALLED_BY_TIMERS: Final = ("Home.figures", "RecentTimes.seen")
"""Functions of other parts which, with what is on here, none but timers call."""
AROUND: Final = ("cli", "supervisor", "__main__")
"""What stands around the event loop: where they are innermost, nothing else runs."""

STAGES: Final = {
    "abilities": "check", "bounds": "check", "media": "check", "windows": "check", "leg": "call", "trip": "call",
    "hedges": "call", "race": "call", "alike": "share", "standing": "rank", "refresh": "share",
}  # fmt: skip
"""Files of the pipeline that belong to a stage of another name."""
OF_THE_PIPELINE: Final = {
    "base": "row", "closing": "closing", "delivery": "way out", "answer": "way out", "letting_go": "way out",
}  # fmt: skip

PACKAGE: Final = str(Path(llm_service.__file__).parent)
UVICORN: Final = str(Path(uvicorn.__file__).parent)
HERE: Final = str(Path(__file__).parents[1])


def part_of_file(file: str) -> str | None:
    """The part that the code of a file belongs to; None where it counts for whoever calls it."""
    if file.startswith(PACKAGE):
        return part_of_module(Path(file).relative_to(PACKAGE).with_suffix("").parts)
    if file.startswith(UVICORN):
        return "server"
    return HARNESS if file.startswith(HERE) else None


def part_of_code(code: CodeType) -> str | None:
    """The part of a function, or of what is defined within it."""
    name = code.co_qualname.partition(".<locals>")[0]
    if name in CALLED_BY_TIMERS and code.co_filename.startswith(PACKAGE):
        return TIMERS
    return part_of_file(code.co_filename)


def part_of_module(names: tuple[str, ...]) -> str | None:
    """Of a module below ``llm_service``, by its path."""
    room, *rest = names
    if names in OF_TIMERS:
        return TIMERS
    match room:
        case _ if room in NOBODY:
            return None
        case _ if room in AROUND:
            return LOOP
        case "api":
            return "door" if rest[0] in {"rest", "graphql", "websocket", "dashboard"} else "server"
        case "pipeline":
            return part_of_stage(rest[0])
        case "providers":
            return "provider"
        case "storage":
            return part_of_store(rest)
        case _:
            return room


def part_of_stage(name: str) -> str:
    name = STAGES.get(name, name)
    return OF_THE_PIPELINE.get(name, f"stage {name}")


def part_of_store(names: list[str]) -> str:
    if names[0] == "sql" or names[0].startswith("sqlite"):
        return "database"
    if "limit" in names[0]:
        return "limit store"
    return "cache" if "cache" in names[0] else "storage"


class Parts:
    """Finds the part of a frame; knows code that it has seen before."""

    def __init__(self) -> None:
        self._known: dict[CodeType, str | None] = {}

    def of(self, frame: FrameType | None) -> str:
        """The innermost part in the stack of this frame."""
        while frame is not None:
            code = frame.f_code
            try:
                part = self._known[code]
            except KeyError:
                part = self._known[code] = part_of_code(code)
            if part is not None:
                return part
            frame = frame.f_back
        return LOOP


def in_order(parts: set[str]) -> list[str]:
    """As a request comes by them."""
    places = {part: place for place, part in enumerate(WAY)}
    return sorted(parts, key=lambda part: (places.get(part, len(places)), part))
