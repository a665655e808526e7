"""An archive's database unpacked, migrated and looked through, beside everything that is in use."""

import errno
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from llm_service.backup.archive import DATABASE, Archive
from llm_service.domain import fact
from llm_service.ledger import Verification, verify
from llm_service.storage import SQLITE_NAME, Database, newest_schema, open_database


class NewerSchema(Exception):
    """A later version of the program wrote the archive; the message says so."""


@fact
class LookedThrough:
    """What was found: ``damage`` of the file itself, and what the records' chains say."""

    damage: Sequence[str]
    chains: Verification

    @property
    def sound(self) -> bool:
        """Whether everything is as it was written."""
        return not self.damage and self.chains.sound


def refuse_without_room(folder: Path, size_bytes: int) -> None:
    """Raises OSError where that much cannot be written, before it takes the room of whoever works beside it."""
    if shutil.disk_usage(folder).free < size_bytes:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, it needs {size_bytes} bytes", str(folder))


Touch = Callable[[Database], Awaitable[None]]
"""What is done with the database before it is used."""


@asynccontextmanager
async def staged(
    archive: Archive, folder: Path, *, touch: Touch | None, on_records: Callable[[int], None]
) -> AsyncIterator[tuple[Path, LookedThrough]]:
    """The database as a file of this program's schema in a folder of its own, and what it is like.

    Raises NewerSchema, DamagedArchive, DatabaseError, StoreUnavailable and OSError.
    """
    manifest = archive.manifest
    if manifest.schema > newest_schema():
        raise NewerSchema(
            f"it has schema {manifest.schema}, made by llm-service {manifest.program}, and this version knows up to "
            f"schema {newest_schema()}: restore it with that version or a later one"
        )
    path = folder / SQLITE_NAME
    refuse_without_room(folder, manifest.members[DATABASE].size_bytes)
    archive.extract(DATABASE, path)
    database = await open_database(None, data_dir=folder)
    try:
        damage = await database.check()
        chains = await verify(database.ledger, progress=on_records)
        if touch is not None:
            await touch(database)
    finally:
        await database.aclose()
    yield path, LookedThrough(damage=damage, chains=chains)
