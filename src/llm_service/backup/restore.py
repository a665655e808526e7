"""Putting an archive in place: looked through first, all that is there put aside, then all of it or nothing."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from llm_service.backup.archive import HASH_KEY, Archive, OnBytes
from llm_service.backup.make import Origin, make_backup
from llm_service.backup.manifest import DamagedArchive, Manifest
from llm_service.backup.shelf import archive_name
from llm_service.backup.staging import LookedThrough, Touch, staged
from llm_service.domain import Secret, fact
from llm_service.ledger import FOLDER
from llm_service.runtime import Clock, open_data_dir, sync_folder, written_whole
from llm_service.services import HASH_KEY_FILE, fingerprint_of
from llm_service.storage import SQLITE_NAME, OnRows, is_in_postgres, load_postgres

_STAGING: Final = "restoring"
_POSTGRES: Final = "the PostgreSQL database"
_VALKEY: Final = "valkey"
"""What the private Valkey remembers of limits and answers belongs to the records that were there."""


class RestoreRefused(Exception):
    """Nothing was touched; the message says why, and what to do."""


class CutOff(Exception):
    """A restore broke off while it was put in place; the message says why, and where all is."""


@fact
class Target:
    """Where an archive is to be put. ``hash_keys``: those of the settings, the first in use; none: a file has it."""

    database_url: Secret | None
    data_dir: Path
    hash_keys: Sequence[Secret]
    sandboxed: bool
    machine: str


@fact
class Restored:
    """What was put in place, and where that is now which was there (None: nothing was)."""

    manifest: Manifest
    aside: Path | None
    wrote_hash_key: bool
    looked_through: LookedThrough


class Restoring:
    """One restore. ``touch``: what is done with the database before anybody uses it."""

    def __init__(
        self, archive: Archive, target: Target, *, replace: bool, clock: Clock, program: str, touch: Touch
    ) -> None:
        self._archive = archive
        self._target = target
        self._replace = replace
        self._clock = clock
        self._program = program
        self._touch = touch

    async def run(self, *, on_bytes: OnBytes, on_records: OnRows, on_rows: OnRows) -> Restored:
        """Raises CutOff, and with nothing touched RestoreRefused, DamagedArchive, NewerSchema, DataDirError,
        DatabaseInUse, DatabaseError and OSError.
        """
        self._archive.check(on_bytes)
        self._refuse_other_world()
        key = self._key_to_write()
        with open_data_dir(self._target.data_dir), _folder(self._target.data_dir / _STAGING) as folder:
            there = await self._what_is_there(key)
            if there and not self._replace:
                raise RestoreRefused(
                    f"there is something already ({', '.join(there)}): --replace puts it aside first; or name another "
                    "place by --data-dir or store.database_url"
                )
            async with staged(self._archive, folder, touch=self._touch, on_records=on_records) as (path, found):
                files = self._unpacked(path, key)
                aside = self._new_folder() if there else None
                if self._target.database_url is not None:
                    await self._load(path, self._target.database_url, aside, there, on_rows)
                with _in_words(aside):
                    if aside is not None:
                        self._put_aside(aside, there)
                    self._put_in_place(files)
        return Restored(
            manifest=self._archive.manifest, aside=aside, wrote_hash_key=key is not None, looked_through=found
        )

    def _refuse_other_world(self) -> None:
        """What simulated providers were asked is not to stand among records of real ones."""
        archived = self._archive.manifest.sandboxed
        if archived != self._target.sandboxed:
            what, word = ("a sandbox", "on") if archived else ("a service with real providers", "off")
            raise RestoreRefused(f"it is of {what}, and these settings are not: say --sandbox {word}")

    def _key_to_write(self) -> bytes | None:
        """The hash key for the data directory, unless the one that is needed is in use here already."""
        needed, archived = self._archive.manifest.hash_key, self._archive.read(HASH_KEY)
        in_settings = [fingerprint_of(key.reveal().encode()) for key in self._target.hash_keys]
        if needed is None or needed in in_settings:
            return None
        if in_settings or self._target.database_url is not None:
            found = f"auth.hash_key is {in_settings[0]}" if in_settings else "auth.hash_key is not set"
            where = "its text is hash.key in the archive" if archived else "the archive does not have it"
            raise RestoreRefused(
                f"the api keys in it were hashed with the hash key of fingerprint {needed}, and {found}: set or list "
                f"that one ({where}), or no key would work"
            )
        if archived is not None and fingerprint_of(archived.strip()) != needed:
            raise DamagedArchive("its hash.key is not the one that its api keys were hashed with")
        if self._fingerprint_here() == needed:
            return None
        if archived is None:
            raise RestoreRefused(
                f"the api keys in it were hashed with the hash key of fingerprint {needed}, which the archive does not "
                f"have: put it into {self._target.data_dir / HASH_KEY_FILE} or auth.hash_key, or no key would work"
            )
        return archived

    def _fingerprint_here(self) -> str | None:
        try:
            return fingerprint_of((self._target.data_dir / HASH_KEY_FILE).read_bytes().strip())
        except FileNotFoundError:
            return None

    async def _what_is_there(self, key: bytes | None) -> list[str]:
        """What would be written over, or be mixed with what is restored."""
        folder = self._target.data_dir
        files = [SQLITE_NAME, f"{SQLITE_NAME}-wal"] if self._target.database_url is None else []
        there = [name for name in (*files, _VALKEY) if (folder / name).exists()]
        if self._target.database_url is not None and await is_in_postgres(self._target.database_url):
            there.append(_POSTGRES)
        if any((folder / FOLDER).glob("*.journal")):
            there.append(FOLDER)
        if key is not None and (folder / HASH_KEY_FILE).exists():
            there.append(HASH_KEY_FILE)
        return there

    def _new_folder(self) -> Path:
        aside = self._target.data_dir / f"replaced-{self._clock.now():%Y%m%dT%H%M%SZ}"
        aside.mkdir(0o700)
        return aside

    async def _load(
        self, database: Path, url: Secret, aside: Path | None, there: Sequence[str], on_rows: OnRows
    ) -> None:
        """Into PostgreSQL in one transaction, when an archive of what is there lies in the folder."""
        if aside is not None and _POSTGRES in there:
            name = archive_name(self._clock.now())
            with TemporaryDirectory(dir=aside) as scratch, written_whole(aside / name) as file:
                await make_backup(
                    self._origin(),
                    file,
                    scratch=Path(scratch),
                    clock=self._clock,
                    program=self._program,
                    with_hash_key=False,
                    on_rows=on_rows,
                )
        await load_postgres(database, url, replace=_POSTGRES in there, on_rows=on_rows)

    def _put_aside(self, aside: Path, there: Sequence[str]) -> None:
        """The files themselves, into the folder."""
        folder = self._target.data_dir
        for name in there:
            for path in folder.glob(f"{name}*" if name == SQLITE_NAME else name):
                if path.suffix != ".backup":  # a copy that was made before a migration
                    path.rename(aside / path.name)
        sync_folder(aside)
        sync_folder(folder)

    def _origin(self) -> Origin:
        target = self._target
        return Origin(
            database_url=target.database_url,
            data_dir=target.data_dir,
            configuration=None,
            hash_key_in_file=False,
            sandboxed=target.sandboxed,
            machine=target.machine,
        )

    def _unpacked(self, database: Path, key: bytes | None) -> Mapping[Path, Path]:
        """Each file beside the database, on the disk, and where it is to be; the database last: where it is, all is."""
        folder, staging = self._target.data_dir, database.parent
        files = dict[Path, Path]()
        for member, name in self._archive.journals().items():
            self._archive.extract(member, staging / name)
            files[staging / name] = folder / FOLDER / name
        if key is not None:
            with written_whole(staging / HASH_KEY_FILE) as file:
                file.write(key)
            files[staging / HASH_KEY_FILE] = folder / HASH_KEY_FILE
        if self._target.database_url is None:
            files |= {path: folder / path.name for path in sorted(staging.glob(f"{SQLITE_NAME}-wal"))}
            files[database] = folder / SQLITE_NAME
        for path in files:
            _sync(path)
        return files

    def _put_in_place(self, files: Mapping[Path, Path]) -> None:
        """By their names alone: nothing is written any more."""
        folder = self._target.data_dir
        (folder / FOLDER).mkdir(0o700, exist_ok=True)
        for path, place in files.items():
            path.rename(place)
        sync_folder(folder / FOLDER)
        sync_folder(folder)


@contextmanager
def _in_words(aside: Path | None) -> Iterator[None]:
    """Failures of what cannot be taken back."""
    try:
        yield
    except OSError as error:
        there = "" if aside is None else f" What was there is in {aside}."
        raise CutOff(
            f"{error.filename}: {error.strerror}.{there} Nothing is lost: start no service on it, and restore again, "
            "with --replace"
        ) from error


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """A folder to work in; what a restore left that was killed goes first."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path)
