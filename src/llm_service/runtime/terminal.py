"""The terminal that a program was started on: SIGHUP means that it is gone, or a wish of the operator."""

import os
import signal


class Terminal:
    """Remembers whether there was a terminal at the start whose end would end the program."""

    def __init__(self) -> None:
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # started by nohup: it is to outlive the terminal
        self._had_one = not ignored and _is_there()

    @property
    def is_gone(self) -> bool:
        """Whether somebody has closed it since."""
        return self._had_one and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
