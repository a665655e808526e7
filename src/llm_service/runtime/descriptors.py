"""How many files, sockets among them, this process may have open."""

import resource
from typing import Final

WANTED: Final = 65_536
KEPT_BACK: Final = 256
"""For what is no connection of a client: stores, upstreams, files."""


def raise_descriptors(wanted: int = WANTED) -> int:
    """Let this process and its children open as many files as that, or as the system allows; how many it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    reachable = wanted if hard == unlimited else min(wanted, hard)
    if soft == unlimited or soft >= reachable:
        return soft if soft != unlimited else wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
    return reachable


def room_for_connections() -> int:
    """How many clients this process may have connections of, by what it may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, (WANTED if soft == resource.RLIM_INFINITY else soft) - KEPT_BACK)
