"""Which machine this is, for those who keep something of each."""

import socket
from hashlib import sha256
from pathlib import Path


def machine_of(data_dir: Path) -> str:
    """The same for all processes that share a data directory, and after a restart; tells nothing of either name."""
    return sha256(f"{socket.gethostname()}\0{data_dir.absolute()}".encode()).hexdigest()[:16]


def host_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()
