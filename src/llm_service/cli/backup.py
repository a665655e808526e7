"""``backup``: an archive beside whatever service is running, read again once it is written; and looking through one."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from llm_service import __version__
from llm_service.backup import (
    HASH_KEY,
    DamagedArchive,
    LookedThrough,
    Made,
    Manifest,
    NewerSchema,
    Origin,
    archive_name,
    as_object,
    keep_newest,
    make_backup,
    opened,
    staged,
)
from llm_service.cli.configuration import complain
from llm_service.cli.database import CannotOpen, existing_database, refuse_missing
from llm_service.cli.faults import fault_line, fault_object
from llm_service.cli.output import Progress, print_json, refuse, system_said
from llm_service.cli.stored import Shown, Stored, note
from llm_service.cli.where import Where
from llm_service.config import Loaded, SettingsError, secrets_of
from llm_service.domain import Secret
from llm_service.environment import data_dir_of, load, wants_sandbox
from llm_service.runtime import SystemClock, host_name, written_whole
from llm_service.services import HASH_KEY_FILE, HashKeyError
from llm_service.storage import DatabaseError, StoreUnavailable, newest_schema

ACT: Final = "backup.make"
SHORTEST_SECRET: Final = 8
"""A shorter one may stand in a file by chance."""


class Asked(NamedTuple):
    """What kind of backup. ``keep``: how many of the folder; ``for_schema``: that of an older program."""

    keep: int | None = None
    with_hash_key: bool = True
    for_schema: int | None = None


class Cannot(Exception):
    """What was asked cannot be done; the message says why."""


def back_up(where: Where, target: Path, asked: Asked, *, as_json: bool) -> int:
    """Write an archive to a file, or into a folder; the exit code: 1 where it is made, and older ones stay."""
    try:
        loaded = load(where.config, where.overrides)
        shown = asyncio.run(_backed_up(loaded, target, asked))
    except SettingsError as error:
        return complain(error, as_json=as_json)
    except DamagedArchive as error:
        return refuse(f"No backup was made: the archive was written and read again, and {error}.", as_json=as_json)
    except OSError as error:
        said = system_said(error, room=f"on the disk of {target}, for the database once more than the backup takes")
        return refuse(f"No backup was made: {said}.", as_json=as_json)
    except (Cannot, CannotOpen, HashKeyError, DatabaseError, ValueError) as error:
        return refuse(f"No backup was made: {error}.", as_json=as_json)
    if as_json:
        print_json(shown)
    else:
        show_made(shown)
    return 0 if shown["ok"] else 1


async def _backed_up(loaded: Loaded, target: Path, asked: Asked) -> Shown:
    data_dir, clock = data_dir_of(loaded), SystemClock()
    refuse_missing(loaded.settings, data_dir)
    out = _place_of(target, keep=asked.keep, clock=clock)
    origin = _origin_of(loaded, data_dir)
    made = await _written(origin, out, asked, clock=clock)
    manifest, notes = made.manifest, [*_notes(loaded, origin, made.manifest)]
    if made.database_schema == newest_schema():  # else this would migrate the database
        await _enter(loaded, data_dir, manifest, out.name)
    removed, cannot = list[Path](), ""
    try:
        removed = [] if asked.keep is None else keep_newest(target, asked.keep, now_s=clock.time())
    except OSError as error:  # the backup is there all the same
        cannot = f"Older backups could not be removed: {error.filename}: {error.strerror}."
    return {
        "ok": not cannot,
        "file": str(out),
        "bytes": out.stat().st_size,
        "manifest": as_object(manifest),
        "removed": [str(path) for path in removed],
        "notes": [*notes, cannot] if cannot else notes,
    }


def _place_of(target: Path, *, keep: int | None, clock: SystemClock) -> Path:
    """The file itself. Raises Cannot."""
    is_folder = target.is_dir()
    if keep is not None and not is_folder:
        raise Cannot(f"--keep is for a folder of backups, and {target} is no folder")
    out = target / archive_name(clock.now()) if is_folder else target
    if out.exists():
        raise Cannot(f"{out} is there already, and is not written over")
    return out


def _origin_of(loaded: Loaded, data_dir: Path) -> Origin:
    path, settings = loaded.source_path, loaded.settings
    return Origin(
        database_url=settings.store.database_url,
        data_dir=data_dir,
        configuration=None if path is None else (path.name, path.read_bytes()),
        hash_key_in_file=not settings.auth.hash_key and settings.store.database_url is None,
        sandboxed=wants_sandbox(loaded),
        machine=host_name(),
    )


async def _written(origin: Origin, out: Path, asked: Asked, *, clock: SystemClock) -> Made:
    """The archive, which has its name once all of it was read again."""
    progress = Progress("rows")
    with TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as scratch, written_whole(out) as file:
        made = await make_backup(
            origin,
            file,
            scratch=Path(scratch),
            clock=clock,
            program=__version__,
            with_hash_key=asked.with_hash_key,
            for_schema=asked.for_schema,
            on_rows=progress,
        )
        progress.end()
        checking = Progress("bytes checked")
        with opened(file) as archive:
            archive.check(checking)
        checking.end()
    return made


async def _enter(loaded: Loaded, data_dir: Path, manifest: Manifest, name: str) -> None:
    """That somebody took a copy of everything, into the audit log."""
    fields = ("hash_key",) if HASH_KEY in manifest.members else ()
    try:
        async with existing_database(loaded.settings, data_dir) as database:
            stored = Stored(loaded.settings, data_dir, database, wants_sandbox(loaded))
            await note(stored, ACT, subject=name, fields=fields)
    except CannotOpen as error:
        print(f"The audit log has no entry of this ({ACT}): {error}.", file=sys.stderr)


def _notes(loaded: Loaded, origin: Origin, manifest: Manifest) -> Iterator[str]:
    """What whoever keeps the archive has to know."""
    if manifest.schema != newest_schema():
        yield f"It is of schema {manifest.schema}, and this version's is {newest_schema()}."
    if HASH_KEY in manifest.members:
        yield "It holds the hash key, without which no api key works: keep the file as safe as that key."
    elif origin.hash_key_in_file and manifest.hash_key is not None:
        yield (
            f"It does NOT hold the hash key: keep {origin.data_dir / HASH_KEY_FILE} elsewhere. Without it no api key "
            "of this backup ever works again."
        )
    elif manifest.hash_key is not None:
        yield "auth.hash_key is a setting, and not in it: without that key no api key of this backup ever works again."
    if origin.configuration is None:
        yield "There is no configuration file to keep: settings of the environment are not in it."
    else:
        yield f"{origin.configuration[0]} is in it as it is written: what it refers to (${{NAME}}, file:...) is not."
        text = origin.configuration[1]
        plain = sum(secret.reveal().encode() in text for secret in _long(loaded))
        if plain:
            yield f"{plain} secrets stand in {origin.configuration[0]} themselves, and so in the backup: refer to them."


def _long(loaded: Loaded) -> Iterator[Secret]:
    return (one for one in secrets_of(loaded.settings) if len(one.reveal()) >= SHORTEST_SECRET)


def show_made(shown: Shown) -> None:
    """What is where."""
    print(f"{shown['file']}: {shown['bytes']} bytes, read again")
    show_manifest(shown["manifest"])
    for path in shown["removed"]:
        print(f"removed: {path}")
    for note_text in shown["notes"]:
        print(f"note: {note_text}", file=sys.stderr)


def show_manifest(manifest: Shown) -> None:
    """What an archive holds, in a few lines."""
    tables, journals = manifest["tables"], manifest["journals"]
    made = f"made {manifest['made_at']} on {manifest['machine']} by llm-service {manifest['program']}"
    print(f"{made}, schema {manifest['schema']} ({manifest['engine']}{', sandbox' if manifest['sandbox'] else ''})")
    rows = sum(tables.values())
    print(f"{tables.get('ledger', 0)} records, {tables.get('api_keys', 0)} keys, {rows} rows in {len(tables)} tables")
    waiting = (
        f"{journals['files']} files of {journals['records']} records and {journals['open_requests']} open requests"
    )
    print(f"records of answers given until {manifest['records_until']}; journals of that machine: {waiting}")


def look_through(path: Path, *, as_json: bool) -> int:
    """Whether an archive is as it was written and can be restored; 1 where records or pages are not sound."""
    try:
        shown = asyncio.run(_looked_through(path))
    except OSError as error:
        said = system_said(error, room="there, or name another folder by TMPDIR")
        return refuse(f"{path} cannot be looked through: {said}.", as_json=as_json)
    except (DamagedArchive, NewerSchema, DatabaseError, StoreUnavailable) as error:
        return refuse(f"{path} cannot be restored: {error}.", as_json=as_json)
    if as_json:
        print_json(shown)
    else:
        show_manifest(shown["manifest"])
        show_looked_through(shown)
    return 0 if shown["ok"] else 1


async def _looked_through(path: Path) -> Shown:
    bytes_read, records = Progress("bytes checked"), Progress("records")
    with opened(path) as archive, TemporaryDirectory(prefix="llm-service-") as folder:
        archive.check(bytes_read)
        bytes_read.end()
        async with staged(archive, Path(folder), touch=None, on_records=records) as (_, found):
            records.end()
            return {
                "ok": found.sound,
                "file": str(path),
                "manifest": as_object(archive.manifest),
                **found_object(found),
            }


def found_object(found: LookedThrough) -> Shown:
    """What a look at the database of an archive found, as data."""
    return {
        "records": found.chains.records,
        "damage": [*found.damage],
        "faults": [fault_object(fault) for fault in found.chains.faults],
    }


def show_looked_through(shown: Shown) -> None:
    """All is well, or a line for each fault."""
    for line in (*shown["damage"], *map(fault_line, shown["faults"])):
        print(line, file=sys.stderr)
    if shown["damage"] or shown["faults"]:
        print(
            f"{shown['records']} records: NOT as they were written. The archive is what the database was.",
            file=sys.stderr,
        )
    else:
        print(f"{shown['records']} records: all as they were written.")
