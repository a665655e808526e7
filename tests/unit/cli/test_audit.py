"""``audit`` as it is typed, and that every command that changes something is in it."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.cli.stored import SHELL
from llm_service.runtime import user_name
from llm_service.services import Keys
from llm_service.storage import AuditEntry, StoreUnavailable, open_database
from llm_service.storage.sql.audit import SqlAudit
from tests.support.clock import ManualClock
from tests.unit.cli.conftest import Command


def done(command: Command, *arguments: str) -> dict[str, Any]:
    result = command(*arguments, "--json")
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = orjson.loads(result.stdout)
    return shown


def acts(command: Command, *arguments: str) -> list[dict[str, Any]]:
    return list(done(command, "audit", *arguments)["data"])


def test_what_commands_change_is_in_it(command: Command) -> None:
    made = done(command, "keys", "create", "n", "--user", "ann")
    key_id = made["id"]
    done(command, "keys", "update", key_id, "--user", "jo", "--clear", "tags")
    done(command, "keys", "rotate", key_id, "--overlap-s", "0")
    done(command, "keys", "list")
    done(command, "keys", "show", key_id)
    done(command, "keys", "revoke", key_id)
    assert command("keys", "rotate", key_id).exit_code == 1
    assert command("keys", "rotate", "key_x").exit_code == 1
    done(command, "usage", "reconcile")
    for change in ("disable", "drain", "enable", "reset"):
        done(command, "providers", change, "deepseek")
    told = [(one["act"], one["subject"], one["fields"], one["error_code"]) for one in acts(command)]
    assert told[::-1] == [
        ("key.create", key_id, ["name", "user"], None),
        ("key.update", key_id, ["tags", "user"], None),
        ("key.rotate", key_id, ["overlap_s"], None),
        ("key.revoke", key_id, [], None),
        ("key.rotate", key_id, [], "invalid_value"),
        ("key.rotate", "key_x", [], "not_found"),
        ("usage.reconcile", None, [], None),
        ("provider.disable", "deepseek", [], None),
        ("provider.drain", "deepseek", [], None),
        ("provider.enable", "deepseek", [], None),
        ("provider.reset", "deepseek", [], None),
    ]
    assert {(one["key_id"], one["key_name"], one["door"], one["peer"]) for one in acts(command)} == {
        (SHELL, user_name(), "command", None)
    }
    assert made["key"] not in str(acts(command))


def test_a_secret_that_is_typed_in_place_of_an_id_is_not_kept(command: Command) -> None:
    secret = done(command, "keys", "create", "n")["key"]
    assert command("keys", "revoke", secret).exit_code == 1
    assert [(one["act"], one["subject"]) for one in acts(command, "--outcome", "refused")] == [("key.revoke", "***")]


def test_a_command_that_was_cut_off_may_have_done_a_part(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    key_id = done(command, "keys", "create", "n")["id"]
    revoke = Keys.revoke

    async def cut_off(keys: Keys, key_id: str) -> None:
        await revoke(keys, key_id)
        signal.raise_signal(signal.SIGINT)  # Ctrl-C
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(Keys, "revoke", cut_off)
        assert command("keys", "revoke", key_id).exit_code != 0
    told = acts(command)[0]
    assert (told["act"], told["subject"], told["outcome"], told["error_code"]) == (
        *("key.revoke", key_id, "failed"),
        "internal_error",
    )


def test_it_is_paged_and_asked(command: Command) -> None:
    for name in "abc":
        done(command, "keys", "create", name)
    first = done(command, "audit", "--limit", "2")
    rest = done(command, "audit", "--limit", "2", "--cursor", first["next_cursor"])
    assert [len(first["data"]), len(rest["data"]), rest["next_cursor"]] == [2, 1, None]
    subject = rest["data"][0]["subject"]
    assert acts(command, "--subject", subject, "--act", "key.create", "--key-id", SHELL) == rest["data"]
    assert acts(command, "--since", "2100-01-01") == acts(command, "--outcome", "failed") == []
    refused = command("audit", "--since", "yesterday")
    assert (refused.exit_code, "'since' must be a moment" in refused.stderr) == (1, True)


def test_it_is_a_table_that_does_nothing_to_a_terminal(command: Command, tmp_path: Path) -> None:
    assert command("audit").exit_code == 2  # there is no database, and none is made
    done(command, "keys", "create", "n")
    (folder,) = {path.parent for path in tmp_path.rglob("llm-service.db")}

    async def add() -> None:
        database = await open_database(None, data_dir=folder)
        at = ManualClock().now()
        entry = AuditEntry(
            id="a", at=at, door="rest", act="key.revoke", outcome="refused", error_code="scope_missing", times=3,
            subject="\x1b[2J\n", key_id="key_1", key_name="Ann",
        )  # fmt: skip
        await database.audit.append([entry])
        await database.aclose()

    asyncio.run(add())
    head, line, other = command("audit").stdout.splitlines()
    assert head.split() == ["at", "who", "from", "door", "act", "subject", "fields", "outcome", "times"]
    assert line.split()[1:] == "key_1 (Ann) - rest key.revoke ?[2J? - scope_missing 3".split()
    assert other.split()[1:2] == [SHELL]
    more = command("audit", "--limit", "1")
    assert "There are more: --cursor 2" in more.stderr
    assert command("audit", "--act", "nothing").stdout == "There are no such acts.\n"


def test_what_the_log_cannot_take_is_done_and_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("the database did not answer in time")

    monkeypatch.setattr(SqlAudit, "append", away)
    made = command("keys", "create", "n", "--json")
    assert made.exit_code == 0
    assert "The audit log has no entry of this (key.create, done): the database did not answer in time." in made.stderr
    assert done(command, "keys", "list")["data"][0]["id"] == orjson.loads(made.stdout)["id"]
