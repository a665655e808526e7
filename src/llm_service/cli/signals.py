"""The signals that end a program: a first one asks, a second one hurries."""

import asyncio
import signal


class Stop:
    """Minds SIGTERM and SIGINT on the running event loop, from its making on."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._signalled)

    def _signalled(self) -> None:
        (self.hurried if self.asked.is_set() else self.asked).set()
