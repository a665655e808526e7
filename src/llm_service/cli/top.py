"""``top``: what a running service does, live in the terminal."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import aclosing, contextmanager, nullcontext, suppress
from typing import Any, Final, Protocol

import orjson

from llm_service.cli.client import CONTROLS, Server, Unanswered, complain
from llm_service.cli.sparkline import BARS, PLAIN_BARS
from llm_service.cli.top_screen import MINUTE, Seen, screen, text_of

KINDS: Final = "metrics,request,alert"
HEALTH_S: Final = 5.0
AGAIN_S: Final = 1.0
SILENT_S: Final = 20.0
FOR_GOOD: Final = ("invalid_api_key", "scope_missing", "not_local", "key_revoked", "not_found")
"""What does not change by trying again. What is not understood may: a proxy says so while the service begins anew."""
ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
"""The other screen, without cursor, without wrapping of long lines."""
BEGIN_FRAME, END_FRAME = "\x1b[?2026h\x1b[H", "\x1b[J\x1b[?2026l"
"""Terminals that know it show a frame all at once; nothing is cleared before it is written over."""


class Show(Protocol):
    """Where what was seen goes."""

    def __call__(self, seen: Seen) -> None:
        """Something new is known."""


def run_top(url: str, *, key: str | None, interval_s: float, once: bool, as_json: bool) -> int:
    """Watch until Ctrl-C, or for one interval; the exit code."""
    live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not once and not as_json
    show: Show = show_json if as_json else Drawn() if live else show_text
    try:
        server = Server.at(url, key)
        with other_screen() if live else nullcontext():
            asyncio.run(_until_ended(Watch(server, show, once=once).run(interval_s)))
    except Unanswered as unanswered:
        return complain(unanswered, as_json=as_json)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
    except BrokenPipeError:  # whoever reads has enough
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


async def _until_ended(work: Any) -> None:
    """SIGTERM ends it as Ctrl-C does: the terminal is left as it was."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await task


class Watch:
    """Follows a service, and comes back to it when it has been away."""

    def __init__(self, server: Server, show: Show, *, once: bool) -> None:
        self._server = server
        self._show = show
        self._once = once
        self._seen = Seen(server.url)
        self._health_due = 0.0

    async def run(self, interval_s: float) -> None:
        """Until cancelled, or once. Raises Unanswered where there is nothing to watch."""
        met = False
        while True:
            try:
                await self._look_around()
                met = True
                if await self._follow(interval_s):
                    return
            except Unanswered as unanswered:
                if not met or self._once or unanswered.code in FOR_GOOD:
                    raise
                self._seen.trouble = f"{unanswered}  Trying again."
                self._show(self._seen)
            await asyncio.sleep(AGAIN_S)

    async def _look_around(self) -> None:
        """What there is before anything happens."""
        await self._ask_health()
        told = await self._server.read("/admin/metrics", {"window_s": str(MINUTE), "step_s": "1"})
        self._seen.requests.clear()
        self._seen.requests.extend(told["series"]["requests_per_s"])
        self._seen.alerts.clear()
        for alert in await self._firing():
            self._seen.take_alert(alert)

    async def _follow(self, interval_s: float) -> bool:
        """Take in what happens; whether it is enough. The service may end the stream, to be connected to again."""
        wanted = {"kinds": KINDS, "interval_s": f"{interval_s:g}"}
        following = self._server.events("/admin/events", wanted, silent_s=interval_s + SILENT_S)
        async with aclosing(following) as events:
            async for kind, data in events:
                self._seen.take(kind, data)
                if kind != "metrics":
                    continue
                self._seen.trouble = None
                await self._ask_health()
                self._show(self._seen)
                if self._once:
                    return True
        return False

    async def _ask_health(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._health_due:
            self._health_due = now + HEALTH_S
            self._seen.health = await self._server.read("/health", {})

    async def _firing(self) -> list[Mapping[str, Any]]:
        """Those alerts that fire; none where the service has none."""
        try:
            told = await self._server.read("/admin/alerts", {})
        except Unanswered as unanswered:
            if unanswered.code == "not_found":
                return []
            raise
        return [one for one in told.get("data", ()) if one.get("state") == "firing"]


# -- how it is shown


def show_json(seen: Seen) -> None:
    """One line for each snapshot; trouble goes elsewhere: figures that were shown are not shown again."""
    if seen.trouble is not None:
        print(seen.trouble.translate(CONTROLS), file=sys.stderr)
        return
    sys.stdout.write(orjson.dumps(seen.figures).decode() + "\n")
    sys.stdout.flush()


def show_text(seen: Seen) -> None:
    """All of it, with a blank line behind."""
    width, height = shutil.get_terminal_size((100, 60))
    lines = screen(seen, width=width, height=max(height, 60), bars=bars())
    sys.stdout.write("".join(f"{text_of(line, colour=colours())}\n" for line in lines) + "\n")
    sys.stdout.flush()


class Drawn:
    """Draws each frame over the one before, as large as the terminal is then."""

    def __call__(self, seen: Seen) -> None:
        """One frame, in one write."""
        width, height = shutil.get_terminal_size()
        lines = screen(seen, width=width, height=height, bars=bars())
        body = "\r\n".join(f"{text_of(line, colour=colours())}\x1b[K" for line in lines)
        sys.stdout.write(f"{BEGIN_FRAME}{body}{END_FRAME}")
        sys.stdout.flush()


@contextmanager
def other_screen() -> Iterator[None]:
    """A screen of our own; what was there before is there again afterwards."""
    sys.stdout.write(ENTER)
    sys.stdout.flush()
    try:
        yield
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


def colours() -> bool:
    """Whether to use them (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def bars() -> str:
    """Those that the output can carry."""
    try:
        BARS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN_BARS
    return BARS
