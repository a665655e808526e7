"""``restore``: an archive put in place of nothing, or of what is there, which is put aside first."""

import asyncio
import sys
from pathlib import Path
from typing import Final

from llm_service import __version__
from llm_service.backup import (
    CONFIGURATION,
    CutOff,
    DamagedArchive,
    NewerSchema,
    RestoreRefused,
    Restoring,
    Target,
    as_object,
    opened,
)
from llm_service.cli.backup import found_object, show_looked_through, show_manifest
from llm_service.cli.configuration import complain
from llm_service.cli.database import place_of
from llm_service.cli.output import Progress, print_json, refuse, system_said
from llm_service.cli.stored import Shown, Stored, note
from llm_service.cli.where import Where
from llm_service.config import Loaded, SettingsError
from llm_service.environment import data_dir_of, load, wants_sandbox
from llm_service.runtime import DataDirError, SystemClock, host_name, written_whole
from llm_service.storage import Database, DatabaseError, DatabaseInUse, DatabaseThere, StoreUnavailable

ACT: Final = "backup.restore"
REFUSALS: Final = (
    RestoreRefused, DamagedArchive, NewerSchema, DataDirError, DatabaseInUse, DatabaseError, StoreUnavailable
)  # fmt: skip


def restore(where: Where, path: Path, *, replace: bool, configuration_to: Path | None, as_json: bool) -> int:
    """Put an archive where the settings say; the exit code: 1 where it is restored, and not all is as it should be."""
    try:
        loaded = load(where.config, where.overrides)
        shown = asyncio.run(_restored(loaded, path, replace=replace, configuration_to=configuration_to))
    except SettingsError as error:
        return complain(error, as_json=as_json)
    except DatabaseThere:
        return refuse(f"{path} was not restored: somebody has begun a database there just now.", as_json=as_json)
    except CutOff as error:
        return refuse(f"{path} was restored in part: {error}.", as_json=as_json)
    except OSError as error:
        said = system_said(error, room="in the data directory, for the database twice")
        return refuse(f"{path} was not restored: {said}.", as_json=as_json)
    except REFUSALS as error:
        return refuse(f"{path} was not restored: {error}.", as_json=as_json)
    if as_json:
        print_json(shown)
    else:
        show_restored(shown)
    return 0 if shown["ok"] else 1


async def _restored(loaded: Loaded, path: Path, *, replace: bool, configuration_to: Path | None) -> Shown:
    settings, data_dir, sandboxed = loaded.settings, data_dir_of(loaded), wants_sandbox(loaded)

    async def enter(database: Database) -> None:
        """The first act that the restored database knows."""
        await note(Stored(settings, data_dir, database, sandboxed), ACT, subject=path.name, fields=())

    bytes_read, records, rows = Progress("bytes checked"), Progress("records"), Progress("rows")
    target = Target(
        database_url=settings.store.database_url,
        data_dir=data_dir,
        hash_keys=settings.auth.hash_key,
        sandboxed=sandboxed,
        machine=host_name(),
    )
    with opened(path) as archive:
        configuration = archive.read(CONFIGURATION)
        if configuration_to is not None:
            _refuse_configuration(configuration, configuration_to)
        restoring = Restoring(archive, target, replace=replace, clock=SystemClock(), program=__version__, touch=enter)
        done = await restoring.run(on_bytes=bytes_read, on_records=records, on_rows=rows)
    records.end()
    shown = {
        "ok": done.looked_through.sound,
        "file": str(path),
        "manifest": as_object(done.manifest),
        "database": place_of(settings, data_dir),
        "aside": None if done.aside is None else str(done.aside),
        "wrote_hash_key": done.wrote_hash_key,
        "configuration": None if configuration_to is None else str(configuration_to),
        **found_object(done.looked_through),
    }
    if configuration is not None and configuration_to is not None:
        try:
            with written_whole(configuration_to) as file:
                file.write(configuration)
        except OSError as error:  # all else is in place
            said = f"its configuration file was not written: {system_said(error, room='there')}"
            shown |= {"ok": False, "configuration": None, "error": said}
    return shown


def _refuse_configuration(configuration: bytes | None, target: Path) -> None:
    if configuration is None:
        raise RestoreRefused("it has no configuration file: leave --configuration-to out")
    if target.exists():
        raise RestoreRefused(f"{target} is there already, and is not written over")


def show_restored(shown: Shown) -> None:
    """What is where now."""
    show_manifest(shown["manifest"])
    show_looked_through(shown)
    print(f"restored into {shown['database']}")
    if shown["aside"]:
        print(f"what was there is in {shown['aside']}")
    if shown["wrote_hash_key"]:
        print("the hash key of its api keys is in the data directory")
    manifest = shown["manifest"]
    if "error" in shown:
        print(shown["error"], file=sys.stderr)
    elif shown["configuration"]:
        print(f"its configuration file is {shown['configuration']}")
    elif manifest["configuration"]:
        print("its configuration file was left in the archive: --configuration-to FILE writes it", file=sys.stderr)
    if manifest["journals"]["files"]:
        print("the records of its journals come into the database when a service starts on this data directory")
