"""The signals that end a program: a first one asks, a second one hurries."""

import asyncio
import signal


class Stop:
    """What is to end has been asked to, and then perhaps to hurry."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()

    @classmethod
    def by_signals(cls) -> "Stop":
        """Minds SIGTERM and SIGINT on the running event loop from now on."""
        stop = cls()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.ask)
        return stop

    def ask(self) -> None:
        """Ask to end; asked again, hurry."""
        (self.hurried if self.asked.is_set() else self.asked).set()
