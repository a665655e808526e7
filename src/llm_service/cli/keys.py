"""``keys``: api keys, straight in the database, with the service stopped or running."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from llm_service.cli.database import Opener, existing_database, opened_database, place_of
from llm_service.cli.output import print_table
from llm_service.cli.stored import Shown, Stored, acted, run_on_database
from llm_service.cli.where import Where
from llm_service.config import Settings
from llm_service.domain import ApiKey, InvalidValue
from llm_service.runtime import RandomIds, SystemClock, system_random
from llm_service.services import Issued, Keys, check_hash_keys, hash_keys_of, key_object
from llm_service.storage import Database

Act = Callable[[Keys], Awaitable[Shown]]
COLUMNS = ("id", "name", "status", "user", "scopes", "models", "limits", "expires_at")
LIMITS = (
    ("requests_per_minute", "{} requests/min"),
    ("tokens_per_minute", "{} tokens/min"),
    ("concurrent_requests", "{} at once"),
    ("budget_usd", "{} USD/{period}"),
)


class Told(NamedTuple):
    """What the audit log says of a command."""

    act: str
    subject: str | None
    fields: Sequence[str] = ()


def create_key(where: Where, fields: Mapping[str, Any], *, as_json: bool) -> int:
    """Make a key and show it with its secret; the exit code."""

    async def act(keys: Keys) -> Shown:
        return issued_object(await keys.create(fields))

    return run(where, act, show_key, as_json=as_json, opened=opened_told, told=Told("key.create", None, [*fields]))


def list_keys(where: Where, *, after: str | None, limit: int, as_json: bool) -> int:
    """Show a page of the keys; the exit code."""

    async def act(keys: Keys) -> Shown:
        page = await keys.list(after=after, count=limit)
        return {"data": [plain_object(key) for key in page.keys], "next_cursor": page.next_cursor}

    return run(where, act, show_page, as_json=as_json)


def get_key(where: Where, key_id: str, *, as_json: bool) -> int:
    """Show one key; the exit code."""

    async def act(keys: Keys) -> Shown:
        return plain_object(await keys.get(key_id))

    return run(where, act, show_key, as_json=as_json)


def update_key(where: Where, key_id: str, fields: Mapping[str, Any], *, clear: Sequence[str], as_json: bool) -> int:
    """Change the given fields, put those of ``clear`` back to their defaults; the exit code."""

    async def act(keys: Keys) -> Shown:
        patch = {**dict.fromkeys(clear), **fields}
        if not patch:
            raise InvalidValue("Nothing is to be changed: give an option, or --clear with a field.")
        if patch.get("expires_at") != "now":
            return plain_object(await keys.update(key_id, patch))
        del patch["expires_at"]
        if patch:
            await keys.update(key_id, patch)
        return plain_object(await keys.expire(key_id))

    told = Told("key.update", key_id, [*fields, *clear])
    return run(where, act, show_key, as_json=as_json, told=told)


def rotate_key(where: Where, key_id: str, *, overlap_s: int | None, as_json: bool) -> int:
    """Give a key a new secret and show it; the exit code."""

    async def act(keys: Keys) -> Shown:
        return issued_object(await keys.rotate(key_id, {"overlap_s": overlap_s}))

    fields = [] if overlap_s is None else ["overlap_s"]
    return run(where, act, show_key, as_json=as_json, told=Told("key.rotate", key_id, fields))


def revoke_key(where: Where, key_id: str, *, as_json: bool) -> int:
    """End a key for good; the exit code."""

    async def act(keys: Keys) -> Shown:
        return plain_object(await keys.revoke(key_id))

    return run(where, act, show_key, as_json=as_json, told=Told("key.revoke", key_id))


# -- with the database open


def run(
    where: Where,
    act: Act,
    show: Callable[[Shown], None],
    *,
    as_json: bool,
    opened: Opener = existing_database,
    told: Told | None = None,
) -> int:
    """Do something with the keys of the configured database; the exit code. ``told``: of what changes something."""

    async def with_keys(stored: Stored) -> Shown:
        source, clock, database = system_random(), SystemClock(), stored.database
        hash_keys = hash_keys_of(
            stored.settings.auth.hash_key,
            data_dir=stored.data_dir,
            shared_database=database.reach == "cluster",
            source=source,
        )
        await check_hash_keys(database.facts, hash_keys)
        ids = RandomIds(clock, source)
        work = act(Keys(store=database.keys, hash_keys=hash_keys, clock=clock, ids=ids, source=source))
        if told is None:
            return await work
        return await acted(stored, told.act, work, subject=told.subject, fields=told.fields)

    return run_on_database(where, with_keys, show, what="The keys", as_json=as_json, opened=opened)


@asynccontextmanager
async def opened_told(settings: Settings, data_dir: Path) -> AsyncIterator[Database]:
    """The database, made where it is missing (a first key may come before the first start); told when it was used."""
    async with opened_database(settings, data_dir) as database:
        yield database
    print(f"The key is in {place_of(settings, data_dir)}.", file=sys.stderr)


# -- what is shown


def plain_object(key: ApiKey) -> Shown:
    """A key as the interface shows it."""
    return key_object(key, now=SystemClock().now())


def issued_object(issued: Issued) -> Shown:
    """A key with its new secret."""
    return {**plain_object(issued.key), "key": issued.secret.reveal()}


def show_key(shown: Shown) -> None:
    """One key, a line for each field that is set."""
    known = {name: text_of(value) for name, value in shown.items() if name != "key"}
    width = max(map(len, known))
    print("\n".join(f"{name:<{width}}  {text}" for name, text in known.items() if text))
    if "key" in shown:
        print(f"\nThis is the key. It is shown this once:\n\n  {shown['key']}\n")


def show_page(shown: Shown) -> None:
    """A table of keys."""
    if not shown["data"]:
        print("There are no keys.")
        return
    print_table(COLUMNS, [[text_of(row[name]) for name in COLUMNS] for row in map(with_limits, shown["data"])])
    if shown["next_cursor"] is not None:
        print(f"There are more: --after {shown['next_cursor']}", file=sys.stderr)


def with_limits(shown: Shown) -> Shown:
    """A key with its limits in a few words."""
    period = shown["budget_period"]
    limits = [form.format(shown[name], period=period) for name, form in LIMITS if shown[name] is not None]
    return {**shown, "limits": limits}


def text_of(value: object) -> str:
    """A field as text, empty where it is not set."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
