"""Commands that work on the configured database, with the service stopped or running."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Final, NamedTuple

from llm_service.cli.configuration import complain
from llm_service.cli.database import CannotOpen, Opener, existing_database
from llm_service.cli.output import print_json, refuse
from llm_service.cli.where import Where
from llm_service.config import Loaded, Settings, SettingsError, secrets_of
from llm_service.domain import InternalError, LLMServiceError
from llm_service.environment import data_dir_of, load, wants_sandbox
from llm_service.observability import Redaction
from llm_service.runtime import RandomIds, SystemClock, system_random, user_name
from llm_service.services import HashKeyError, outcome_of
from llm_service.storage import AuditEntry, Database, StoreUnavailable

Shown = dict[str, Any]
SHELL: Final = "shell"
"""Who acts through the command line, in place of a key."""
CUT_OFF: Final = InternalError("The command was cut off, or failed on a defect: a part of it may have been done.")


class Stored(NamedTuple):
    """An open database, with the settings that name it and the folder of the service's data, perhaps a sandbox's."""

    settings: Settings
    data_dir: Path
    database: Database
    sandboxed: bool


def run_on_database(
    where: Where,
    act: Callable[[Stored], Awaitable[Shown]],
    show: Callable[[Shown], None],
    *,
    what: str,
    as_json: bool,
    opened: Opener = existing_database,
) -> int:
    """Do something with the database and show what came of it; the exit code: 1 where that says ``"ok": False``.

    ``what`` cannot be reached where the database cannot be opened: ``The keys``. ``opened`` makes none, unless told.
    """
    try:
        shown = asyncio.run(_acted(load(where.config, where.overrides), act, opened))
    except SettingsError as error:
        return complain(error, as_json=as_json)
    except (CannotOpen, HashKeyError, StoreUnavailable) as error:
        return refuse(f"{what} cannot be reached: {error}.", as_json=as_json)
    except LLMServiceError as error:
        return say(error, as_json=as_json)
    if as_json:
        print_json(shown)
    else:
        show(shown)
    return 0 if shown.get("ok", True) else 1


async def _acted(loaded: Loaded, act: Callable[[Stored], Awaitable[Shown]], opened: Opener) -> Shown:
    settings = loaded.settings
    data_dir = data_dir_of(loaded)
    async with opened(settings, data_dir) as database:
        return await act(Stored(settings, data_dir, database, wants_sandbox(loaded)))


def say(error: LLMServiceError, *, as_json: bool) -> int:
    """Why nothing was done; the exit code."""
    if as_json:
        print_json({"ok": False, "error": {"message": error.message, "code": error.code, "param": error.param}})
    else:
        print(error.message, file=sys.stderr)
    return 1


async def acted(
    stored: Stored,
    act: str,
    work: Awaitable[Shown],
    *,
    subject: str | None = None,
    fields: Collection[str] = (),
) -> Shown:
    """What came of an act, which is in the audit log then, or told on standard error where that takes no entry.

    ``subject``: unless given, the id of what was made.
    """
    try:
        shown = await work
    except LLMServiceError as error:
        await note(stored, act, subject=subject, fields=(), error=error)
        raise
    except (Exception, asyncio.CancelledError):
        await note(stored, act, subject=subject, fields=(), error=CUT_OFF)
        raise
    await note(stored, act, subject=subject or shown.get("id"), fields=fields)
    return shown


async def note(
    stored: Stored,
    act: str,
    *,
    subject: str | None,
    fields: Collection[str],
    error: LLMServiceError | None = None,
) -> None:
    """An entry in the audit log. Whoever types a secret in place of an id finds it nowhere."""
    clock, redaction = SystemClock(), Redaction(secrets_of(stored.settings))
    entry = AuditEntry(
        id=RandomIds(clock, system_random()).new("act"),
        at=clock.now(),
        door="command",
        act=act,
        outcome=outcome_of(error),
        error_code=None if error is None else error.code,
        key_id=SHELL,
        key_name=user_name(),
        subject=None if subject is None else redaction.text(subject),
        fields=tuple(sorted(fields)),
    )
    try:
        await stored.database.audit.append([entry])
    except StoreUnavailable as away:
        print(f"The audit log has no entry of this ({act}, {entry.outcome}): {away}.", file=sys.stderr)
