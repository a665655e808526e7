"""What an archive says of itself: ``manifest.json``, written when all else is in it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from llm_service.domain import fact

KIND: Final = "llm-service backup"
FORMAT: Final = 1
MOST_BYTES: Final = 4 << 20

Engine = Literal["sqlite", "postgres"]


class DamagedArchive(Exception):
    """The file is no archive, or not as it was written; the message says what is wrong."""


@fact
class Member:
    """A file in the archive."""

    size_bytes: int
    sha256: str


@fact
class Journals:
    """What the journals of one machine hold: ``records`` may be in the database too, ``open_requests`` have none."""

    files: int
    records: int
    open_requests: int


@fact
class Manifest:
    """``records_until``: whoever had the end of an answer by then has its record in here, if this machine gave it.

    ``schema``: of the database, written by ``program``. ``tables``: the rows of each. ``hash_key``: the fingerprint of
    the one that the keys were hashed with. ``configuration``: what the file was called. ``members``: all but this.
    """

    made_at: datetime
    records_until: datetime
    program: str
    schema: int
    engine: Engine
    machine: str
    sandboxed: bool
    tables: Mapping[str, int]
    journals: Journals
    hash_key: str | None
    configuration: str | None
    members: Mapping[str, Member]


def as_object(manifest: Manifest) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "kind": KIND,
        "format": FORMAT,
        "made_at": _text(manifest.made_at),
        "records_until": _text(manifest.records_until),
        "program": manifest.program,
        "schema": manifest.schema,
        "engine": manifest.engine,
        "machine": manifest.machine,
        "sandbox": manifest.sandboxed,
        "tables": dict(manifest.tables),
        "journals": {
            "files": manifest.journals.files,
            "records": manifest.journals.records,
            "open_requests": manifest.journals.open_requests,
        },
        "hash_key": manifest.hash_key,
        "configuration": manifest.configuration,
        "members": {name: {"bytes": one.size_bytes, "sha256": one.sha256} for name, one in manifest.members.items()},
    }


def to_json(manifest: Manifest) -> bytes:
    """For people as well: indented."""
    return orjson.dumps(as_object(manifest), option=orjson.OPT_INDENT_2) + b"\n"


def from_json(text: bytes) -> Manifest:
    """What `to_json` wrote. Raises DamagedArchive."""
    try:
        fields = orjson.loads(text)
        if fields["kind"] != KIND:
            raise DamagedArchive("it is no backup of llm-service")
        if fields["format"] != FORMAT:
            raise DamagedArchive(f"it has format {fields['format']}, and this version reads format {FORMAT}")
        return _manifest(fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedArchive("its manifest cannot be read") from error


def _manifest(fields: Mapping[str, Any]) -> Manifest:
    return Manifest(
        made_at=datetime.fromisoformat(fields["made_at"]),
        records_until=datetime.fromisoformat(fields["records_until"]),
        program=str(fields["program"]),
        schema=int(fields["schema"]),
        engine=fields["engine"],
        machine=str(fields["machine"]),
        sandboxed=bool(fields["sandbox"]),
        tables={str(name): int(count) for name, count in fields["tables"].items()},
        journals=Journals(**fields["journals"]),
        hash_key=fields["hash_key"],
        configuration=fields["configuration"],
        members={
            name: Member(size_bytes=int(one["bytes"]), sha256=str(one["sha256"]))
            for name, one in fields["members"].items()
        },
    )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
