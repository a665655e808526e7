"""``keys`` on a database of its own, as it is typed."""

import stat
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.cli.database import place_of
from llm_service.cli.keys import show_key, show_page
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.runtime import open_data_dir
from llm_service.services import HASH_KEY_FILE
from llm_service.storage import SQLITE_NAME, StoreOptions
from tests.unit.cli.conftest import Command

LATER = "2100-01-31T12:00:00Z"


def done(command: Command, *arguments: str, **variables: str) -> dict[str, Any]:
    """What a command prints as JSON."""
    result = command("keys", *arguments, "--json", **variables)
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = orjson.loads(result.stdout)
    return shown


def test_a_key_is_made_shown_changed_rotated_and_revoked(command: Command) -> None:
    made = done(command, "create", "support", "--model", "fast", "--budget-usd", "2.50", "--tag", "team=a=b")
    assert made["key"].startswith("llms_")
    assert (made["models"], made["budget_usd"], made["tags"]) == (["fast"], "2.5", {"team": "a=b"})
    shown = done(command, "show", made["id"])
    assert shown == {name: value for name, value in made.items() if name != "key"}
    changed = done(command, "update", made["id"], "--clear", "models", "--requests-per-minute", "5")
    assert changed == {**shown, "models": None, "requests_per_minute": 5, "version": 2}
    rotated = done(command, "rotate", made["id"], "--overlap-s", "0")
    assert rotated["key"] not in ("", made["key"])
    assert done(command, "revoke", made["id"])["status"] == "revoked"
    assert done(command, "list")["data"][0]["status"] == "revoked"


def test_every_option_is_a_field(command: Command) -> None:
    options = {
        "--user": "u", "--requests-per-minute": "1", "--tokens-per-minute": "2", "--concurrent-requests": "3",
        "--budget-usd": "4", "--budget-period": "day", "--model": "m", "--scope": "read", "--tag": "a=b",
        "--expires-at": LATER, "--on-disconnect": "finish",
    }  # fmt: skip
    expected = {
        "user": "u", "requests_per_minute": 1, "tokens_per_minute": 2, "concurrent_requests": 3, "budget_usd": "4",
        "budget_period": "day", "models": ["m"], "scopes": ["read"], "tags": {"a": "b"}, "expires_at": LATER,
        "on_disconnect": "finish", "semantic_cache": True,
    }  # fmt: skip
    arguments = [*(part for option in options.items() for part in option), "--semantic-cache"]
    made = done(command, "create", "n", *arguments)
    plain = done(command, "create", "n")
    for shown in (made, done(command, "update", plain["id"], *arguments)):
        assert {name: shown[name] for name in expected} == expected


def test_a_key_ends_now_and_is_opened_again(command: Command) -> None:
    made = done(command, "create", "n")
    ended = done(command, "update", made["id"], "--expires-at", "now", "--user", "u")
    assert (ended["status"], ended["user"]) == ("expired", "u")
    assert done(command, "update", made["id"], "--clear", "expires_at")["status"] == "active"


def test_pages_follow_one_another(command: Command) -> None:
    ids = [done(command, "create", str(number))["id"] for number in range(3)]
    first = done(command, "list", "--limit", "2")
    rest = done(command, "list", "--after", first["next_cursor"])
    assert [key["id"] for key in first["data"] + rest["data"]] == ids
    assert f"--after {ids[1]}" in command("keys", "list", "--limit", "2").stderr


def test_people_see_a_table_and_the_secret_once(command: Command) -> None:
    made = command("keys", "create", "support", "--budget-usd", "5", "--budget-period", "day")
    secret = next(line.strip() for line in made.stdout.splitlines() if "llms_" in line)
    listed = command("keys", "list").stdout
    head, row = listed.splitlines()
    assert head.split() == ["id", "name", "status", "user", "scopes", "models", "limits", "expires_at"]
    assert "5 USD/day" in row
    key_id = row.split()[0]
    for text in (listed, command("keys", "show", key_id).stdout, command("keys", "revoke", key_id).stdout):
        assert secret[-12:] not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "n", "--scope", "all"), "'scopes' must be"),
        (("create", "n", "--expires-at", "now"), "'expires_at' must be a moment"),
        (("show", "key_0"), "There is no api key `key_0`."),
        (("update", "key_0"), "Nothing is to be changed"),
        (("update", "key_0", "--clear", "nothing"), "'nothing' is no field"),
        (("rotate", "key_0", "--overlap-s", "-1"), "'overlap_s' must be"),
        (("list", "--after", "x"), "`next_cursor` of a page"),
    ],
)
def test_what_cannot_be_done_is_said_in_both_ways(command: Command, arguments: tuple[str, ...], said: str) -> None:
    done(command, "create", "n")
    for_people = command("keys", *arguments)
    assert (for_people.exit_code, for_people.stdout) == (1, "")
    assert said in for_people.stderr
    for_programs = command("keys", *arguments, "--json")
    assert for_programs.exit_code == 1
    assert said in orjson.loads(for_programs.stdout)["error"]["message"]


@pytest.mark.parametrize(
    ("option", "text", "field"),
    [
        ("--name", "y", "name"),
        ("--budget-usd", "5", "budget_usd"),
        ("--model", "m", "models"),
        ("--scope", "read", "scopes"),
        ("--tag", "a=b", "tags"),
    ],
)
def test_a_field_is_given_or_cleared_and_not_both(command: Command, option: str, text: str, field: str) -> None:
    made = done(command, "create", "n")
    refused = command("keys", "update", made["id"], option, text, "--clear", "user", "--clear", field)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert f"{option} and --clear {field} say two things" in refused.stderr
    assert done(command, "show", made["id"])["version"] == 1


def test_a_tag_without_its_text_is_a_mistake_of_the_command_line(command: Command) -> None:
    refused = command("keys", "create", "n", "--tag", "a")
    assert refused.exit_code == 2
    assert "a is not of the form name=text" in refused.stderr


def test_the_folder_is_made_closed_to_others_with_the_hash_key(command: Command, tmp_path: Path) -> None:
    done(command, "create", "n", "--data-dir", "data")
    folder = tmp_path / "data" / "sandbox"  # no provider is configured, so this is the sandbox's
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / HASH_KEY_FILE).exists()
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_service_that_holds_the_folder_does_not_keep_the_command_out(command: Command, tmp_path: Path) -> None:
    with open_data_dir(tmp_path / "data" / "sandbox"):
        made = done(command, "create", "n", "--data-dir", "data")
    assert [key["id"] for key in done(command, "list", "--data-dir", "data")["data"]] == [made["id"]]


def test_another_hash_key_is_refused_and_both_together_are_not(command: Command) -> None:
    first, second = "a" * 32, "b" * 32
    done(command, "create", "n", LLM_SERVICE_AUTH__HASH_KEY=first)
    refused = command("keys", "list", LLM_SERVICE_AUTH__HASH_KEY=second)
    assert refused.exit_code == 2
    assert "hashed with another hash key" in refused.stderr
    assert first not in refused.stderr + refused.stdout
    done(command, "list", LLM_SERVICE_AUTH__HASH_KEY=f'["{second}", "{first}"]')
    done(command, "list", LLM_SERVICE_AUTH__HASH_KEY=second)


@pytest.mark.parametrize(("sandbox", "folder"), [("on", "sandbox"), ("off", "."), ("auto", ".")])
def test_beside_configured_providers_the_option_reaches_the_sandboxs_keys(
    command: Command, tmp_path: Path, sandbox: str, folder: str
) -> None:
    where = ("--data-dir", "data", "--sandbox", sandbox)
    made = done(command, "create", "n", *where, DEEPSEEK_API_KEY="sk-test-0123456789")
    assert (tmp_path / "data" / folder / SQLITE_NAME).exists()
    for arguments in (("show",), ("update", "--user", "u"), ("rotate",), ("revoke",)):
        name, *rest = arguments
        changed = done(command, name, made["id"], *rest, *where, DEEPSEEK_API_KEY="sk-test-0123456789")
        assert changed["id"] == made["id"]
    listed = done(command, "list", *where, DEEPSEEK_API_KEY="sk-test-0123456789")
    assert [key["id"] for key in listed["data"]] == [made["id"]]


def test_the_option_takes_the_words_that_serve_takes(command: Command) -> None:
    refused = command("keys", "list", "--sandbox", "yes")
    assert refused.exit_code == 2
    assert "--sandbox: sandbox must be auto, on or off" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("show", "key_0"), ("update", "key_0", "--user", "u"), ("rotate", "key_0"), ("revoke", "key_0")],
)
def test_where_no_database_is_none_is_made(command: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused = command("keys", *arguments, "--data-dir", "data")
    assert (refused.exit_code, refused.stdout) == (2, "")
    missing = tmp_path / "data" / "sandbox" / "llm-service.db"
    assert f"there is no database at {missing}: name the service's data directory by --data-dir" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_a_new_key_says_into_which_database_it_went(command: Command, tmp_path: Path) -> None:
    for more in ((), ("--json",)):
        made = command("keys", "create", "n", "--data-dir", "data", *more)
        assert made.stderr == f"The key is in {tmp_path / 'data' / 'sandbox' / 'llm-service.db'}.\n"


def test_of_postgres_nothing_but_the_name_is_told() -> None:
    settings = Settings(store=StoreOptions(database_url=Secret("postgresql://user:word@host/base")))
    assert place_of(settings, Path("data")) == "PostgreSQL"


def test_a_folder_that_cannot_be_used_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = command("keys", "create", "n", "--data-dir", "file", "--json")
    assert refused.exit_code == 2
    assert "The keys cannot be reached: the data directory" in orjson.loads(refused.stdout)["error"]


def test_a_mistake_in_the_configuration_is_told(command: Command) -> None:
    refused = command("keys", "list", LLM_SERVICE_AUTH__HASH_KEY="short")
    assert refused.exit_code == 2
    assert "auth.hash_key must be 32 to 512 visible ASCII characters" in refused.stderr


def test_help_names_every_command(command: Command) -> None:
    told = command("keys", "--help").output
    assert all(name in told for name in ("create", "list", "show", "update", "rotate", "revoke"))


def test_columns_are_as_wide_as_their_widest_text(capsys: pytest.CaptureFixture[str]) -> None:
    key = {"id": "key_1", "name": "n", "status": "active", "scopes": ["read"], "budget_period": "month"}
    others = dict.fromkeys(
        "user models requests_per_minute tokens_per_minute concurrent_requests budget_usd expires_at".split()
    )
    show_page({"data": [key | others, {**key, **others, "name": "a longer one"}], "next_cursor": None})
    lines = capsys.readouterr().out.splitlines()
    assert [line.index("active") for line in lines[1:]] == [lines[0].index("status")] * 2


def test_a_field_that_is_not_set_takes_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_key({"id": "key_1", "user": None, "models": [], "name": "n"})
    assert capsys.readouterr().out == "id      key_1\nname    n\n"


def test_no_keys_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    show_page({"data": [], "next_cursor": None})
    assert capsys.readouterr().out == "There are no keys.\n"
