"""Making an archive beside whatever service is running."""

from pathlib import Path
from typing import IO

from llm_service.backup.archive import CONFIGURATION, DATABASE, HASH_KEY, JOURNALS, ArchiveWriter
from llm_service.backup.manifest import Journals, Manifest
from llm_service.domain import Secret, fact
from llm_service.ledger import FOLDER, journal_copies
from llm_service.runtime import Clock
from llm_service.services import HASH_KEY_FACT, HASH_KEY_FILE, HashKeyError, fingerprint_of
from llm_service.storage import SQLITE_NAME, OnRows, as_of_schema, fact_in, save_database, saved_in


@fact
class Origin:
    """What is to be kept. ``configuration``: the name and the text of the file, as it is written, if there is one.

    ``hash_key_in_file``: the keys are hashed with the one in the data directory, and not with one of the settings.
    """

    database_url: Secret | None
    data_dir: Path
    configuration: tuple[str, bytes] | None
    hash_key_in_file: bool
    sandboxed: bool
    machine: str


@fact
class Made:
    """What an archive says of itself, and the schema of the database that it was made from."""

    manifest: Manifest
    database_schema: int


async def make_backup(
    origin: Origin,
    file: IO[bytes],
    *,
    scratch: Path,
    clock: Clock,
    program: str,
    with_hash_key: bool,
    for_schema: int | None = None,
    on_rows: OnRows,
) -> Made:
    """Write an archive; ``scratch`` is a folder of the caller's with room for a copy of the database, or two.

    ``for_schema``: an older one than the database has, for the older program to restore.

    The journals come first: what is shipped and removed between the two is in the database then.
    Raises DatabaseError, HashKeyError, OSError, and ValueError for a journal of a later version.
    """
    records_until = clock.now()
    with ArchiveWriter(file) as writer:
        journals = _add_journals(writer, origin.data_dir)
        copy, source = scratch / DATABASE, origin.data_dir / SQLITE_NAME
        saved = await save_database(origin.database_url, source=source, target=copy, on_rows=on_rows)
        database_schema = saved.schema
        if for_schema is not None:
            older = scratch / f"{DATABASE}.older"
            as_of_schema(copy, older, for_schema)
            older.replace(copy)
            saved = saved_in(copy)
        writer.add_file(DATABASE, copy)
        fingerprint = fact_in(copy, HASH_KEY_FACT)
        copy.unlink()
        if origin.configuration is not None:
            writer.add(CONFIGURATION, origin.configuration[1])
        if origin.hash_key_in_file and with_hash_key and fingerprint is not None:
            writer.add(HASH_KEY, _hash_key(origin.data_dir / HASH_KEY_FILE, fingerprint))
        manifest = Manifest(
            made_at=clock.now(),
            records_until=records_until,
            program=program,
            schema=saved.schema,
            engine="sqlite" if origin.database_url is None else "postgres",
            machine=origin.machine,
            sandboxed=origin.sandboxed,
            tables=saved.tables,
            journals=journals,
            hash_key=fingerprint,
            configuration=None if origin.configuration is None else origin.configuration[0],
            members=writer.members,
        )
        writer.finish(manifest)
    return Made(manifest=manifest, database_schema=database_schema)


def _hash_key(path: Path, fingerprint: str) -> bytes:
    """The file's text, if it is the hash key of that fingerprint."""
    text = path.read_bytes() if path.exists() else None
    if text is None or fingerprint_of(text.strip()) != fingerprint:
        what = "is not there" if text is None else "is another one"
        raise HashKeyError(
            f"the api keys were hashed with the hash key of fingerprint {fingerprint}, and {path} {what}: name the "
            "settings that the service has (auth.hash_key), or leave it out by --no-hash-key"
        )
    return text


def _add_journals(writer: ArchiveWriter, data_dir: Path) -> Journals:
    opened, closed, files = set[str](), set[str](), 0
    for copy in journal_copies(data_dir / FOLDER):
        writer.add(f"{JOURNALS}{copy.name}", copy.data)
        opened |= copy.opened
        closed |= copy.closed
        files += 1
    return Journals(files=files, records=len(closed), open_requests=len(opened - closed))
