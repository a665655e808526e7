"""Which machine this is, for those who keep something of each, and whose process."""

import os
import pwd
import socket
from hashlib import sha256
from pathlib import Path


def machine_of(data_dir: Path) -> str:
    """The same for all processes that share a data directory, and after a restart; tells nothing of either name."""
    return sha256(f"{socket.gethostname()}\0{data_dir.absolute()}".encode()).hexdigest()[:16]


def host_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def user_name() -> str:
    """The system's user whose process this is, by name, or by number where it has none."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def is_root() -> bool:
    """Whether this process may do anything on the machine, or in its container."""
    return os.geteuid() == 0
