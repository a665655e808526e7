"""Archives that nobody of ours has written: refused before they take memory or room."""

import hashlib
import tracemalloc
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO

import pytest

from llm_service.backup.archive import DATABASE, HASH_KEY, MANIFEST, opened
from llm_service.backup.manifest import DamagedArchive, Journals, Manifest, Member, to_json

MIB = 1 << 20
BOMB = bytes(32 * MIB)
AMPLE = 16 * MIB
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def manifest_of(members: Mapping[str, Member]) -> bytes:
    made = Manifest(
        made_at=NOW, records_until=NOW, program="1.0.0", schema=1, engine="sqlite", machine="m", sandboxed=False,
        tables={}, journals=Journals(files=0, records=0, open_requests=0), hash_key=None, configuration=None,
        members=members,
    )  # fmt: skip
    return to_json(made)


def archive(members: Mapping[str, bytes], *, manifest: bytes, packed: int = zipfile.ZIP_DEFLATED) -> BytesIO:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", packed) as file:
        for name, data in {**members, MANIFEST: manifest}.items():
            file.writestr(name, data)
    return out


def member_of(data: bytes, *, size_bytes: int | None = None) -> Member:
    size = len(data) if size_bytes is None else size_bytes
    return Member(size_bytes=size, sha256=hashlib.sha256(data).hexdigest())


@pytest.fixture
def peak() -> Iterator[list[int]]:
    """How much memory it took at most, behind it."""
    taken = list[int]()
    tracemalloc.start()
    yield taken
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most - sum(taken) < AMPLE


def held(made: BytesIO, taken: list[int]) -> BytesIO:
    """What the test itself holds does not count."""
    taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.reset_peak()
    return made


def test_a_manifest_that_says_less_than_it_holds_takes_no_memory(peak: list[int]) -> None:
    made = archive({}, manifest=BOMB)
    lying = made.getvalue().replace(len(BOMB).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with pytest.raises(DamagedArchive), opened(held(BytesIO(lying), peak)):
        pass


@pytest.mark.parametrize("packed", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_what_is_packed_as_no_backup_is_not_unpacked(packed: int) -> None:
    made = archive({DATABASE: b"x"}, manifest=manifest_of({DATABASE: member_of(b"x")}), packed=packed)
    with pytest.raises(DamagedArchive, match="packed as no backup is"), opened(made):
        pass


def test_a_member_that_is_larger_than_promised_is_left_at_once(peak: list[int]) -> None:
    made = archive({DATABASE: BOMB}, manifest=manifest_of({DATABASE: member_of(BOMB, size_bytes=10)}))
    seen = list[int]()
    with opened(held(made, peak)) as found, pytest.raises(DamagedArchive, match="not as it was written"):
        found.check(seen.append)
    assert seen == []


def test_a_small_member_is_small(peak: list[int]) -> None:
    made = archive({HASH_KEY: BOMB}, manifest=manifest_of({HASH_KEY: member_of(BOMB)}))
    with opened(held(made, peak)) as found, pytest.raises(DamagedArchive, match=r"hash\.key is larger than in any"):
        found.read(HASH_KEY)
