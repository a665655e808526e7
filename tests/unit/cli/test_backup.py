"""``backup`` and ``restore`` as they are typed, on databases of their own."""

import asyncio
import fcntl
import os
import sqlite3
import stat
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from llm_service import __version__
from llm_service.domain import Secret
from llm_service.services import HashKeys
from llm_service.services.key_secret import prefix_of
from llm_service.storage import SQLITE_NAME, newest_schema, open_database
from tests.support.clock import ManualClock
from tests.support.filled import columns_of, columns_of_file, fill_sqlite, rows_in_postgres, rows_in_sqlite
from tests.support.ledger_entries import a_ledger, a_record, an_intent
from tests.support.postgres import PostgresServer
from tests.unit.cli.conftest import Command

REAL: Mapping[str, str] = {"OPENROUTER_API_KEY": "sk-test-0123456789"}
"""A provider is configured: no sandbox."""
COLUMNS = columns_of(newest_schema())
ELSEWHERE = ("--data-dir", "elsewhere")


@pytest.fixture(autouse=True)
def real(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in REAL.items():
        monkeypatch.setenv(name, text)


def done(command: Command, *arguments: str, **variables: str) -> dict[str, Any]:
    result = command(*arguments, "--json", **variables)
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = orjson.loads(result.stdout)
    return shown


def refused(command: Command, *arguments: str, **variables: str) -> str:
    result = command(*arguments, "--json", **variables)
    assert result.exit_code == 2, result.output
    return str(orjson.loads(result.stdout)["error"])


@pytest.fixture
def key(command: Command) -> dict[str, Any]:
    """Of a database in ``data``, with three records, and one more in a journal beside an open request."""
    made = done(command, "keys", "create", "n", "--budget-usd", "5", "--data-dir", "data")
    asyncio.run(_recorded(Path("data")))
    return made


async def _recorded(folder: Path) -> None:
    """As a process leaves it that is killed."""
    database = await open_database(None, data_dir=folder)
    shipped = a_ledger(folder, store=database.ledger, clock=ManualClock())
    for number in range(1, 4):
        shipped.close(a_record(number))
    await shipped.flush()
    await shipped.aclose()
    dead = a_ledger(folder, store=database.ledger, clock=ManualClock(), writer="dead")
    dead.open(an_intent(10))
    dead.close(a_record(10))
    dead.open(an_intent(11))
    dead._journal.leave()
    await database.aclose()


@pytest.fixture
def archive(command: Command, key: dict[str, Any]) -> Path:
    return Path(done(command, "backup", "archive.zip", "--data-dir", "data")["file"])


# -- making


def test_an_archive_is_its_owners_alone_and_says_what_is_in_it(command: Command, key: dict[str, Any]) -> None:
    Path("backups").mkdir()
    made = done(command, "backup", "backups", "--data-dir", "data")
    (path,) = Path("backups").iterdir()
    assert made["file"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    manifest = made["manifest"]
    assert (manifest["program"], manifest["schema"], manifest["engine"]) == (__version__, newest_schema(), "sqlite")
    assert (manifest["tables"]["ledger"], manifest["tables"]["api_keys"]) == (3, 1)
    assert set(manifest["tables"]) == set(COLUMNS)
    assert manifest["journals"] == {"files": 1, "records": 1, "open_requests": 1}
    assert manifest["records_until"] <= manifest["made_at"]
    with zipfile.ZipFile(path) as file:  # with any program that reads zip files
        assert {*file.namelist()} == {"manifest.json", *manifest["members"]}
        assert orjson.loads(file.read("manifest.json")) == manifest
    assert any("It holds the hash key" in note for note in made["notes"])


def test_who_makes_one_is_in_the_audit_log(command: Command, key: dict[str, Any]) -> None:
    done(command, "backup", "a.zip", "--data-dir", "data")
    done(command, "backup", "b.zip", "--data-dir", "data", "--no-hash-key")
    acts = done(command, "audit", "--act", "backup.make", "--data-dir", "data")["data"]
    assert [(one["subject"], one["fields"], one["door"]) for one in acts] == [
        ("b.zip", [], "command"), ("a.zip", ["hash_key"], "command")
    ]  # fmt: skip


def test_the_configuration_is_kept_as_it_is_written(command: Command, key: dict[str, Any]) -> None:
    text = 'providers: {deepseek: {api_key: "${OPENROUTER_API_KEY}"}}\nauth: {admin_key: "canary-admin-key-0123456"}\n'
    Path("llm-service.yaml").write_text(text)
    made = done(command, "backup", "a.zip", "--data-dir", "data")
    assert any("1 secrets stand in llm-service.yaml themselves" in note for note in made["notes"])
    done(command, "restore", "a.zip", *ELSEWHERE, "--configuration-to", "restored.yaml")
    assert Path("restored.yaml").read_text() == text
    assert "is there already" in refused(
        command, "restore", "a.zip", "--data-dir", "third", "--configuration-to", "restored.yaml"
    )
    assert not Path("third").exists()


def test_the_newest_few_are_kept_and_nothing_else_is_removed(command: Command, key: dict[str, Any]) -> None:
    folder = Path("backups")
    folder.mkdir()
    for day in range(1, 5):
        (folder / f"llm-service-2026110{day}T030000Z.zip").touch()
    (folder / "llm-service-notes.zip").touch()
    half, young = folder / ".llm-service-20261101T030000Z.zip.ab", folder / ".llm-service-20261102T030000Z.zip.cd"
    half.mkdir()
    (half / "database.sqlite").touch()
    young.touch()
    os.utime(half, (0, 0))
    made = done(command, "backup", "backups", "--keep", "3", "--data-dir", "data")
    assert [Path(path).name for path in made["removed"]] == [
        "llm-service-20261101T030000Z.zip", "llm-service-20261102T030000Z.zip"
    ]  # fmt: skip
    assert {path.name for path in folder.iterdir()} == {
        "llm-service-20261103T030000Z.zip", "llm-service-20261104T030000Z.zip", "llm-service-notes.zip", young.name,
        Path(made["file"]).name,
    }  # fmt: skip


def test_older_ones_that_cannot_be_removed_make_it_no_worse(command: Command, key: dict[str, Any]) -> None:
    Path("backups/llm-service-20261101T030000Z.zip").mkdir(parents=True)
    told = command("backup", "backups", "--keep", "1", "--data-dir", "data", "--json")
    made = orjson.loads(told.stdout)
    assert (told.exit_code, made["ok"], Path(made["file"]).exists()) == (1, False, True)
    assert "Older backups could not be removed: backups/llm-service-20261101T030000Z.zip: " in made["notes"][-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("backup", "a.zip", "--keep", "2", "--data-dir", "data"), "--keep is for a folder"),
        (("backup", "taken.zip", "--data-dir", "data"), "taken.zip is there already"),
        (("backup", "nowhere/a.zip", "--data-dir", "data"), "No such file or directory"),
        (("backup", "a.zip", "--data-dir", "empty"), "there is no database at"),
        (("backup", "a.zip", "--data-dir", "data", "--for-schema", "99"), "give one from 1 to that"),
    ],
)
def test_what_cannot_be_made_is_said_and_leaves_nothing(
    command: Command, key: dict[str, Any], arguments: tuple[str, ...], said: str
) -> None:
    Path("taken.zip").write_text("mine")
    before = {*Path().iterdir()}
    assert said in refused(command, *arguments)
    assert {*Path().iterdir()} == before
    assert Path("taken.zip").read_text() == "mine"


def test_a_hash_key_that_is_gone_is_no_backup(command: Command, key: dict[str, Any]) -> None:
    done(command, "keys", "list", "--data-dir", "data")
    Path("data/hash.key").unlink()
    assert "hash.key" in refused(command, "backup", "a.zip", "--data-dir", "data")
    assert not Path("a.zip").exists()


def test_a_hash_key_that_is_another_one_is_no_backup(command: Command, key: dict[str, Any]) -> None:
    done(command, "keys", "list", "--data-dir", "data")
    Path("data/hash.key").write_text("canary" * 8)
    said = refused(command, "backup", "a.zip", "--data-dir", "data")
    assert "data/hash.key is another one: name the settings that the service has (auth.hash_key)" in said
    assert not Path("a.zip").exists()
    done(command, "backup", "a.zip", "--data-dir", "data", "--no-hash-key")


# -- restoring


def test_all_of_it_comes_back_elsewhere(command: Command, key: dict[str, Any], archive: Path) -> None:
    restored = done(command, "restore", str(archive), *ELSEWHERE)
    assert (restored["records"], restored["faults"], restored["damage"]) == (3, [], [])
    before, after = (rows_in_sqlite(Path(name, SQLITE_NAME), COLUMNS) for name in ("data", "elsewhere"))
    changed = {"audit", "marks"}  # one entry for the backup there, one for its restore here
    assert {name: after[name] for name in after if name not in changed} == {
        name: before[name] for name in before if name not in changed
    }
    assert Path("elsewhere/hash.key").read_bytes() == Path("data/hash.key").read_bytes()
    assert done(command, "usage", "verify", *ELSEWHERE)["ok"]
    assert done(command, "keys", "show", key["id"], *ELSEWHERE)["budget_usd"] == "5"
    assert asyncio.run(_matches(Path("elsewhere"), key["key"]))
    acts = done(command, "audit", *ELSEWHERE)["data"]
    assert [(one["act"], one["subject"]) for one in acts][:1] == [("backup.restore", archive.name)]
    for path in Path("elsewhere").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def _matches(folder: Path, text: str) -> bool:
    """Whether a key's secret is one that this data knows."""
    database = await open_database(None, data_dir=folder)
    found = await database.keys.find(prefix_of(text) or "")
    await database.aclose()
    assert found is not None
    return HashKeys([Secret((folder / "hash.key").read_text().strip())]).matcher(found[1]).matches(text)


def test_what_the_journals_hold_comes_into_the_database_at_the_next_start(
    command: Command, key: dict[str, Any], archive: Path
) -> None:
    done(command, "restore", str(archive), *ELSEWHERE)

    async def adopted() -> dict[str, str]:
        database = await open_database(None, data_dir=Path("elsewhere"))
        ledger = a_ledger(Path("elsewhere"), store=database.ledger, clock=ManualClock())
        assert await ledger.adopt() == 1
        found = {
            number: (await database.ledger.find(a_record(number).request_id))[0].record.status
            for number in (1, 2, 3, 10, 11)
        }
        await ledger.aclose()
        await database.aclose()
        return {str(number): status for number, status in found.items()}

    assert asyncio.run(adopted()) == {"1": "ok", "2": "ok", "3": "ok", "10": "ok", "11": "interrupted"}
    assert done(command, "usage", "verify", *ELSEWHERE)["records"] == 5


def test_what_is_there_stays_unless_it_is_to_be_put_aside(command: Command, key: dict[str, Any], archive: Path) -> None:
    other = done(command, "keys", "create", "other", *ELSEWHERE)
    said = refused(command, "restore", str(archive), *ELSEWHERE)
    assert "there is something already (llm-service.db, hash.key): --replace puts it aside" in said
    assert done(command, "keys", "show", other["id"], *ELSEWHERE)["name"] == "other"
    restored = done(command, "restore", str(archive), *ELSEWHERE, "--replace")
    aside = Path(restored["aside"])
    assert {path.name for path in aside.iterdir()} == {SQLITE_NAME, "hash.key"}
    assert done(command, "keys", "show", key["id"], *ELSEWHERE)["name"] == "n"
    assert done(command, "keys", "show", other["id"], "--data-dir", str(aside))["name"] == "other"


def test_where_all_is_is_told_when_it_breaks_off_while_it_is_put_in_place(
    command: Command, key: dict[str, Any], archive: Path
) -> None:
    other = done(command, "keys", "create", "other", *ELSEWHERE)
    Path("elsewhere/journal").touch()  # in the place of a folder
    said = refused(command, "restore", str(archive), *ELSEWHERE, "--replace")
    (aside,) = Path("elsewhere").glob("replaced-*")
    assert f"elsewhere/journal: File exists. What was there is in {aside.resolve()}" in said
    assert "was restored in part" in said
    assert done(command, "keys", "show", other["id"], "--data-dir", str(aside))["name"] == "other"
    Path("elsewhere/journal").unlink()
    done(command, "restore", str(archive), *ELSEWHERE)
    assert done(command, "keys", "show", key["id"], *ELSEWHERE)["name"] == "n"


def test_what_there_is_no_room_for_is_not_begun(
    command: Command, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    said = refused(command, "restore", str(archive), *ELSEWHERE)
    assert "restoring: No space left on device, it needs " in said
    assert "make room in the data directory" in said
    assert "name another folder by TMPDIR" in refused(command, "backup", "--verify", str(archive))
    assert not Path("elsewhere", SQLITE_NAME).exists()


def test_a_configuration_file_that_cannot_be_written_undoes_nothing(command: Command, key: dict[str, Any]) -> None:
    Path("llm-service.yaml").write_text("{}")
    done(command, "backup", "a.zip", "--data-dir", "data")
    told = command("restore", "a.zip", *ELSEWHERE, "--configuration-to", "nowhere/restored.yaml", "--json")
    shown = orjson.loads(told.stdout)
    assert (told.exit_code, shown["configuration"]) == (1, None)
    assert "its configuration file was not written: " in shown["error"]
    assert done(command, "keys", "show", key["id"], *ELSEWHERE)["name"] == "n"


def test_a_hash_key_that_is_not_the_one_of_its_keys_is_damage(command: Command, archive: Path) -> None:
    with rewritten(archive) as manifest:
        manifest["hash_key"] = "0123456789abcdef"
    assert "its hash.key is not the one" in refused(command, "restore", str(archive), *ELSEWHERE)


def test_nothing_is_restored_under_a_running_service(command: Command, archive: Path) -> None:
    folder = Path("elsewhere")
    folder.mkdir(mode=0o700)
    with (folder / "lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = refused(command, "restore", str(archive), *ELSEWHERE, "--replace")
    assert "is in use by the service with process id 4711: stop that one" in said
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_an_archive_that_is_not_as_it_was_written_touches_nothing(command: Command, archive: Path) -> None:
    whole = archive.read_bytes()
    middle, end = len(whole) // 2, len(whole)
    damaged = {
        "empty": b"",
        "cut at the beginning": whole[: end // 50],
        "cut in the middle": whole[:middle],
        "cut at the end": whole[:-1],
        "its directory is gone": whole[: whole.rindex(b"PK\x01\x02")],
        "a byte is another one": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "a part is missing": whole[:middle] + whole[middle + 100 :],
        "something else": b"nothing of the kind\n" * 100,
    }
    for what, data in damaged.items():
        Path("damaged.zip").write_bytes(data)
        for arguments in (("restore", "damaged.zip", *ELSEWHERE, "--replace"), ("backup", "--verify", "damaged.zip")):
            said = refused(command, *arguments)
            assert "damaged.zip" in said, what
        assert not Path("elsewhere").exists(), what


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 99, "program": "9.9.9"}, "has schema 99, made by llm-service 9.9.9"),
        ({"format": 2}, "has format 2, and this version reads format 1"),
        ({"kind": "something"}, "is no backup of llm-service"),
        ({"members": {}}, "has other files than its manifest says"),
        ({"tables": None}, "manifest cannot be read"),
        ({"sandbox": True}, "is of a sandbox, and these settings are not"),
    ],
    ids=lambda one: "".join(one) if isinstance(one, dict) else "",
)
def test_what_this_version_cannot_restore_is_said(
    command: Command, archive: Path, change: dict[str, Any], said: str
) -> None:
    with rewritten(archive) as manifest:
        manifest.update(change)
    assert said in refused(command, "restore", str(archive), *ELSEWHERE)
    assert not Path("elsewhere", SQLITE_NAME).exists()


@contextmanager
def rewritten(archive: Path) -> Iterator[dict[str, Any]]:
    """Its manifest, to be changed."""
    with zipfile.ZipFile(archive) as file:
        members = {name: file.read(name) for name in file.namelist()}
    manifest = orjson.loads(members.pop("manifest.json"))
    yield manifest
    with zipfile.ZipFile(archive, "w") as file:
        for name, data in {**members, "manifest.json": orjson.dumps(manifest)}.items():
            file.writestr(name, data)


def test_no_member_is_written_beside_the_data_directory(command: Command, archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("journal/../../evil", b"x")
    with rewritten(archive) as manifest:
        sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
        manifest["members"]["journal/../../evil"] = {"bytes": 1, "sha256": sha256}
    assert "has a file that no backup has" in refused(command, "restore", str(archive), *ELSEWHERE)


def test_records_that_were_changed_are_restored_and_told(command: Command, key: dict[str, Any]) -> None:
    with closing(sqlite3.connect(Path("data", SQLITE_NAME))) as file:
        file.execute("UPDATE ledger SET nano_usd = 0 WHERE seq = 2")
        file.commit()
    done(command, "backup", "a.zip", "--data-dir", "data")
    for arguments in (("backup", "--verify", "a.zip"), ("restore", "a.zip", *ELSEWHERE)):
        told = command(*arguments, "--json")
        assert told.exit_code == 1
        shown = orjson.loads(told.stdout)
        assert [(fault["kind"], fault["first_seq"]) for fault in shown["faults"]] == [("changed", 2)]
    assert "NOT as they were written" in command("backup", "--verify", "a.zip").stderr


# -- the hash key


def test_without_its_hash_key_an_archive_is_refused_where_that_is_not_known(
    command: Command, key: dict[str, Any]
) -> None:
    made = done(command, "backup", "a.zip", "--data-dir", "data", "--no-hash-key")
    assert any("It does NOT hold the hash key" in note for note in made["notes"])
    assert "hash.key" not in made["manifest"]["members"]
    said = refused(command, "restore", "a.zip", *ELSEWHERE)
    assert "which the archive does not have" in said
    other = refused(command, "restore", "a.zip", *ELSEWHERE, LLM_SERVICE_AUTH__HASH_KEY="canary" * 8)
    assert f"were hashed with the hash key of fingerprint {made['manifest']['hash_key']}, and auth.hash_key is" in other
    text = Path("data/hash.key").read_text().strip()
    restored = done(command, "restore", "a.zip", *ELSEWHERE, LLM_SERVICE_AUTH__HASH_KEY=text)
    assert not restored["wrote_hash_key"]
    assert not Path("elsewhere/hash.key").exists()


# -- an older program


def test_an_archive_for_an_older_program_is_of_its_schema(command: Command, key: dict[str, Any]) -> None:
    made = done(command, "backup", "a.zip", "--data-dir", "data", "--for-schema", "7")
    assert made["manifest"]["schema"] == 7
    assert set(made["manifest"]["tables"]) == set(columns_of(7))
    done(command, "restore", "a.zip", *ELSEWHERE)  # and comes forward again
    assert done(command, "usage", "verify", *ELSEWHERE)["records"] == 3
    assert rows_in_sqlite(Path("elsewhere", SQLITE_NAME), {"schema_versions": COLUMNS["schema_versions"]})[
        "schema_versions"
    ][-1] == (newest_schema(), __version__)


def test_an_archive_for_an_older_program_leaves_a_database_as_it_is(command: Command) -> None:
    """An upgrade may be installed, and its service not started yet."""
    Path("data").mkdir(mode=0o700)
    fill_sqlite(Path("data", SQLITE_NAME), 7)
    done(command, "backup", "a.zip", "--data-dir", "data", "--for-schema", "5", "--no-hash-key")
    assert columns_of_file(Path("data", SQLITE_NAME)) == columns_of(7)


# -- PostgreSQL


def test_from_sqlite_into_postgresql_and_back(
    command: Command, key: dict[str, Any], archive: Path, postgres_server: PostgresServer
) -> None:
    url = asyncio.run(postgres_server.new_database())
    hash_key = Path("data/hash.key").read_text().strip()
    there = {"DATABASE_URL": url, "LLM_SERVICE_AUTH__HASH_KEY": hash_key}
    said = refused(command, "restore", str(archive), *ELSEWHERE, DATABASE_URL=url)
    assert "auth.hash_key is not set: set or list that one (its text is hash.key in the archive)" in said
    restored = done(command, "restore", str(archive), *ELSEWHERE, **there)
    assert (restored["database"], restored["records"]) == ("PostgreSQL", 3)
    changed = {"audit", "marks"}
    before, after = rows_in_sqlite(Path("data", SQLITE_NAME), COLUMNS), asyncio.run(rows_in_postgres(url, COLUMNS))
    assert {name: after[name] for name in after if name not in changed} == {
        name: before[name] for name in before if name not in changed
    }
    assert done(command, "usage", "verify", *ELSEWHERE, **there)["ok"]
    assert "there is something already (the PostgreSQL database, journal)" in refused(
        command, "restore", str(archive), *ELSEWHERE, **there
    )
    again = done(command, "restore", str(archive), *ELSEWHERE, "--replace", **there)
    (old,) = Path(again["aside"]).glob("*.zip")
    assert done(command, "backup", "--verify", str(old))["records"] == 3
    made = done(command, "backup", "from-postgres.zip", *ELSEWHERE, **there)
    assert (made["manifest"]["engine"], made["manifest"]["tables"]["ledger"]) == ("postgres", 3)
    done(command, "restore", "from-postgres.zip", "--data-dir", "back", LLM_SERVICE_AUTH__HASH_KEY=hash_key)
    assert done(command, "usage", "verify", "--data-dir", "back")["records"] == 3


# -- for people


def test_people_are_told_what_is_where(command: Command, archive: Path) -> None:
    looked = command("backup", "--verify", str(archive))
    assert looked.exit_code == 0
    assert "3 records, 1 keys" in looked.stdout
    assert "journals of that machine: 1 files of 1 records and 1 open requests" in looked.stdout
    restored = command("restore", str(archive), *ELSEWHERE)
    assert restored.exit_code == 0
    assert "3 records: all as they were written." in restored.stdout
    assert "restored into" in restored.stdout
    made = command("backup", "more.zip", "--data-dir", "data")
    assert made.stdout.startswith("more.zip: ")
    assert "note: It holds the hash key" in made.stderr


def test_one_of_making_and_looking_is_asked_for(command: Command) -> None:
    for arguments in (("backup",), ("backup", "a.zip", "--verify", "b.zip")):
        assert command(*arguments).exit_code == 2
