"""The archive: a zip whose members have their checksums in the manifest.

Its directory stands at the end, so that a file that was cut is known at once; any program that reads zip files opens
it.
"""

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final, Self

from llm_service.backup.manifest import MOST_BYTES, DamagedArchive, Manifest, Member, from_json, to_json

MANIFEST: Final = "manifest.json"
DATABASE: Final = "database.sqlite"
CONFIGURATION: Final = "configuration.yaml"
HASH_KEY: Final = "hash.key"
JOURNALS: Final = "journal/"

_NAMES: Final = re.compile(r"database\.sqlite|configuration\.yaml|hash\.key|journal/[\w.-]+\.\d{8}\.journal")
_PIECE_BYTES: Final = 1 << 20
_MOST_READ_BYTES: Final = 16 << 20
"""Of a member that is held in memory."""
_PACKED: Final = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
"""How members may be packed. With the others a few bytes become gigabytes before anybody can count them."""
_SPEED: Final = 1
"""Of deflate: twice as fast as the usual level for a tenth more of space."""

_BROKEN: Final = (zlib.error, struct.error, EOFError, OverflowError)
"""What zipfile lets through of bytes that mean nothing."""

OnBytes = Callable[[int], None]


class ArchiveWriter:
    """Puts members into a file until the block ends, and reckons their checksums."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_SPEED)
        self._members = dict[str, Member]()

    @property
    def members(self) -> MappingProxyType[str, Member]:
        """What is in it."""
        return MappingProxyType(self._members)

    def add(self, name: str, data: bytes) -> None:
        """A member from memory."""
        self._add(name, iter((data,)))

    def add_file(self, name: str, path: Path) -> None:
        """A member from a file."""
        with path.open("rb") as file:
            self._add(name, iter(lambda: file.read(_PIECE_BYTES), b""))

    def finish(self, manifest: Manifest) -> None:
        """The manifest, and the archive's end."""
        self._zip.writestr(MANIFEST, to_json(manifest))
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Lets go of the file, which nobody will use where it was not finished."""
        if error is not None:
            with suppress(OSError):  # it may be why
                self._zip.close()

    def _add(self, name: str, pieces: Iterator[bytes]) -> None:
        digest, size = hashlib.sha256(), 0
        with self._zip.open(name, "w", force_zip64=True) as member:
            for piece in pieces:
                member.write(piece)
                digest.update(piece)
                size += len(piece)
        self._members[name] = Member(size_bytes=size, sha256=digest.hexdigest())


class Archive:
    """An archive that is read. Everything raises DamagedArchive where it is not as it was written."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._zip = file
        with _damage():
            if any(member.compress_type not in _PACKED for member in file.infolist()):
                raise DamagedArchive("it is packed as no backup is")
            with file.open(MANIFEST) as member:
                text = member.read(MOST_BYTES + 1)
            if len(text) > MOST_BYTES:
                raise DamagedArchive("its manifest cannot be read")
            self.manifest = from_json(text)

    def check(self, on_bytes: OnBytes) -> None:
        """Compare every byte with the manifest."""
        there, promised = set(self._zip.namelist()) - {MANIFEST}, self.manifest.members
        if len(there) + 1 != len(self._zip.namelist()) or there != set(promised) or DATABASE not in there:
            raise DamagedArchive("it has other files than its manifest says")
        if strange := [name for name in there if not _NAMES.fullmatch(name)]:
            raise DamagedArchive(f"it has a file that no backup has: {strange[0]}")
        done = 0
        for name in sorted(there):
            for piece in self._pieces(name):
                done += len(piece)
                on_bytes(done)

    def read(self, name: str) -> bytes | None:
        """A small member; None where there is none."""
        if name not in self.manifest.members:
            return None
        if self.manifest.members[name].size_bytes > _MOST_READ_BYTES:
            raise DamagedArchive(f"{name} is larger than in any backup")
        return b"".join(self._pieces(name))

    def extract(self, name: str, target: Path) -> None:
        """A member as a new file, which nothing brings to the disk yet. Raises OSError."""
        with target.open("xb") as file:
            target.chmod(0o600)
            for piece in self._pieces(name):
                file.write(piece)

    def journals(self) -> Mapping[str, str]:
        """The members that are journals, with the names of their files."""
        return {name: name.removeprefix(JOURNALS) for name in self.manifest.members if name.startswith(JOURNALS)}

    def _pieces(self, name: str) -> Iterator[bytes]:
        promised = self.manifest.members[name]
        digest, size = hashlib.sha256(), 0
        with _damage(), self._zip.open(name) as member:
            while piece := member.read(_PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
                if size > promised.size_bytes:
                    break
                yield piece
        if (size, digest.hexdigest()) != (promised.size_bytes, promised.sha256):
            raise DamagedArchive(f"{name} is not as it was written: its checksum differs")


@contextmanager
def opened(source: Path | IO[bytes]) -> Iterator[Archive]:
    """An archive, until the block ends. Raises DamagedArchive and OSError."""
    with ExitStack() as held:
        file = held.enter_context(source.open("rb")) if isinstance(source, Path) else source
        with _damage():
            found = held.enter_context(zipfile.ZipFile(file))
        yield Archive(found)


@contextmanager
def _damage() -> Iterator[None]:
    """What can be wrong with a zip file, in words. What is done with a piece of it raises on as it is."""
    try:
        yield
    except zipfile.BadZipFile as error:
        raise DamagedArchive("it is no whole archive: it was cut off or changed, or is something else") from error
    except (*_BROKEN, ValueError, KeyError, RuntimeError) as error:
        raise DamagedArchive("it is not as it was written") from error
