"""``usage ship``: bring what ended processes left in a data directory to the database, before it is thrown away."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from llm_service.bootstrap import Surroundings, open_leftovers
from llm_service.cli.database import CannotOpen, Opener, existing_database
from llm_service.cli.stored import Shown, Stored, run_on_database
from llm_service.cli.where import Where
from llm_service.config import Settings, secrets_of
from llm_service.observability import Redaction, build_log
from llm_service.runtime import Clock, SystemClock, has_been_served, system_random
from llm_service.storage import SQLITE_NAME, AddressError, Database

ASK_EVERY_S: Final = 1.0


def ship_leftovers(where: Where, *, within_s: float, as_json: bool) -> int:
    """Ship what there is, and say whether anything is left; the exit code: 0 where the data directory may go."""
    clock = SystemClock()
    end_s = clock.monotonic() + within_s

    async def act(stored: Stored) -> Shown:
        async with AsyncExitStack() as held:
            return await _shipped(stored, held, clock, within_s=end_s - clock.monotonic())

    opened = opened_until(end_s, clock)
    return run_on_database(where, act, show_left, what="The journals", as_json=as_json, opened=opened)


def opened_until(end_s: float, clock: Clock, opened: Opener = existing_database) -> Opener:
    """Opens the database of a directory in which a service has served; one that is elsewhere, and away, is asked again
    until then (monotonic). Raises CannotOpen.
    """

    @asynccontextmanager
    async def patiently(settings: Settings, folder: Path) -> AsyncIterator[Database]:
        if not has_been_served(folder):  # an empty folder would be told to hold nothing, though it is the wrong one
            raise CannotOpen(
                f"no service has had its data in {folder}: name its data directory by --data-dir or server.data_dir, "
                "and say --sandbox as it was started"
            )
        async with AsyncExitStack() as held:
            while True:
                try:
                    database = await held.enter_async_context(opened(settings, folder))
                except CannotOpen:
                    if settings.store.database_url is None or clock.monotonic() >= end_s:
                        raise
                    await clock.sleep(ASK_EVERY_S)
                else:
                    yield database
                    return

    return patiently


async def _shipped(stored: Stored, held: AsyncExitStack, clock: Clock, *, within_s: float) -> Shown:
    settings, folder = stored.settings, stored.data_dir
    redaction = Redaction(secrets_of(settings))
    around = Surroundings(
        data_dir=folder,
        clock=clock,
        dice=system_random(),
        log=build_log(settings.observability, clock=clock, stream=sys.stderr, redaction=redaction),
        redaction=redaction,
    )
    try:
        leftovers = await open_leftovers(held, around, settings.store, stored.database)
        left = await leftovers.ship(within_s=within_s)
    except (AddressError, OSError) as error:
        raise CannotOpen(str(error)) from error
    inside = settings.store.database_url is None
    return {
        "ok": left.nothing and not inside,
        "data_dir": str(folder),
        "holds_database": inside,
        "shipped": left.shipped,
        "waiting": left.waiting,
        "living": left.living,
    }


def show_left(shown: Shown) -> None:
    """What was done, and what keeps the rest."""
    done = f"{_journals(shown['shipped'])} shipped" if shown["shipped"] else "Nothing was to be shipped"
    if not shown["waiting"] and not shown["living"]:
        print(f"{done}; {shown['data_dir']} holds no record that the database lacks.")
    if shown["holds_database"]:
        print(f"Keep {shown['data_dir']}: the database itself is in it ({SQLITE_NAME}).", file=sys.stderr)
    if shown["waiting"]:
        print(f"{_journals(shown['waiting'])} could not be shipped: the log above has the reason.", file=sys.stderr)
    if shown["living"]:
        said = f"{_journals(shown['living'])} of processes that serve: end the service first, or wait (--within)."
        print(said, file=sys.stderr)


def _journals(count: int) -> str:
    return f"{count} journal{'' if count == 1 else 's'}"
