"""Every command as it is typed, with and without ``--json``, in front of a running service."""

import asyncio
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from jsonschema import Draft202012Validator

from llm_service import __version__
from llm_service.storage import open_database
from tests.support.process import Child, Finished, Place, Serving, child, on_terminal, place, run, serving
from tests.support.records import row
from tests.support.rest import ask, chat_body
from tests.support.waiting import until, wait_until

MODEL = "openai/sandbox/chat"
KEY = "canary2command3credential8rd57k"
BAD_FILE = """\
server: {port: eighty}
auth: {required: sometimes}
provider: {deepseek: {}}
models:
  fast: {deployments: [{provider: nobody, model: x}]}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(place(tmp_path_factory.mktemp("served"))) as service:
        yield service


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The sandbox as a program of its own."""
    with serving(place(tmp_path_factory.mktemp("upstreams")), command=("sandbox",)) as sandbox:
        yield sandbox


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as once:
        return int(once.getsockname()[1])


# -- models


def test_models_are_listed_one_a_line(here: Place, service: Serving) -> None:
    listed = run(here, "models", "--url", service.address)
    assert (listed.code, listed.err) == (0, "")
    assert "deepseek/deepseek-flash" in listed.out.splitlines()


def test_models_are_listed_as_json(here: Place, service: Serving) -> None:
    listed = run(here, "models", "--json", "--url", f"{service.address}/v1/")
    assert listed.code == 0
    assert {"deepseek", "openai", "openrouter"} <= {model["provider"] for model in listed.json()}


# -- chat


def test_an_answer_is_printed_while_it_comes(here: Place, service: Serving) -> None:
    slow = "openai/sandbox/tokens-40+pace-50ms"
    with child(here, "chat", "--url", service.address, "-m", slow, "Tell", "me", "about", "rivers.") as chat:
        first_words = chat.out.until(lambda text: text if text.strip() else None)
        begun = time.perf_counter()
        assert chat.ended() == 0
        streamed_s = time.perf_counter() - begun
    assert chat.out.all().startswith(first_words)
    assert len(chat.out.all()) > 2 * len(first_words)
    assert streamed_s > 0.5


def test_an_answer_is_printed_as_json(here: Place, service: Serving) -> None:
    answered = run(here, "chat", "--json", "--url", service.address, "-m", MODEL, "Say exactly: it works")
    assert answered.code == 0
    assert answered.json()["choices"][0]["message"]["content"] == "it works"


def test_each_line_of_the_input_is_a_question_of_one_conversation(here: Place, service: Serving) -> None:
    said = "Say exactly: one\n\nSay exactly: two\n"
    talked = run(here, "chat", "--url", service.address, "-m", MODEL, "--system", "Be brief.", stdin=said)
    assert (talked.code, talked.out, talked.err) == (0, "one\ntwo\n", "")


def test_a_conversation_on_a_terminal_goes_on_after_an_error_and_ends_with_the_input(
    here: Place, service: Serving
) -> None:
    with on_terminal(here, "chat", "--url", service.address, "-m", "openai/sandbox/error-429+first") as (chat, typed):
        chat.out.until(lambda screen: screen.endswith("> "))
        typed("Say exactly: yes\n")
        said = chat.out.until(lambda screen: screen if screen.count("> ") == 2 else None)
        typed("Say exactly: surely\n")
        chat.out.until(lambda screen: screen.endswith("\r\nsurely\r\n> "))
        typed("\x04")
        assert chat.ended() == 0
    assert "upstream_rate_limited: " in said


async def test_ctrl_c_at_the_prompt_ends_a_conversation(here: Place, service: Serving) -> None:
    with on_terminal(here, "chat", "--url", service.address, "-m", MODEL) as (chat, typed):
        chat.out.until_said("> ")
        await until(lambda: psutil.Process(chat.pid).status() == psutil.STATUS_SLEEPING)  # it reads what is typed
        assert ended_by(lambda: typed("\x03"), chat) == 130
    assert "Traceback" not in chat.out.all()


def ended_by(strike: Callable[[], object], chat: Child) -> int:
    """The exit code after the key was struck, once more where it came just before Python's prompt began to wait."""
    for _ in range(4):
        strike()
        with suppress(subprocess.TimeoutExpired):
            return chat.ended(within_s=2)
    return chat.ended(within_s=2)


REFUSALS = {
    "an unknown model": (("-m", "openai/no-such-model"), "model_not_found"),
    "a wrong key": (("--key", "sk-test-wrong", "-m", MODEL), "invalid_api_key"),
    "a failing provider": (("-m", "openai/sandbox/error-500"), "upstream_error"),
}


@pytest.mark.parametrize(("options", "code"), REFUSALS.values(), ids=list(REFUSALS))
def test_what_the_service_refuses_is_said_and_fails(
    here: Place, service: Serving, options: tuple[str, ...], code: str
) -> None:
    refused = run(here, "chat", "--url", service.address, *options, "hello")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(f"{code}: ")
    assert "(request req_" in refused.err


def test_what_the_service_refuses_is_said_as_json_too(here: Place, service: Serving) -> None:
    refused = run(here, "chat", "--json", "--url", service.address, "-m", "openai/no-such-model", "hello")
    assert (refused.code, refused.err) == (1, "")
    assert refused.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("command", ["models", "chat"])
def test_without_a_service_it_says_how_to_start_one(here: Place, command: str) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    refused = run(here, command, "--url", address, *(["hello"] if command == "chat" else []))
    assert (refused.code, refused.out) == (1, "")
    assert f"No service answers at {address}" in refused.err
    assert "llm-service serve" in refused.err


# -- the configuration


def test_a_good_configuration_is_shown_with_its_secrets_masked(here: Place) -> None:
    (here.folder / "llm-service.yaml").write_text(f"providers: {{deepseek: {{api_key: {KEY}}}}}\n")
    for options in ([], ["--json"]):
        checked = run(here, "check-config", *options)
        assert (checked.code, checked.err) == (0, "")
        assert "https://api.deepseek.com" in checked.out
        assert KEY not in checked.out
    assert checked.json()["ok"] is True
    assert checked.json()["source"] == str(here.folder / "llm-service.yaml")


def test_all_mistakes_of_a_configuration_are_told_with_their_places(here: Place) -> None:
    (here.folder / "bad.yaml").write_text(BAD_FILE)
    told = run(here, "check-config", "--config", "bad.yaml")
    as_json = run(here, "check-config", "--config", "bad.yaml", "--json")
    assert (told.code, told.out, as_json.code, as_json.err) == (2, "", 2, "")
    places = ["bad.yaml:1:16", "bad.yaml:2:18", "bad.yaml:3:1", "bad.yaml:5:35"]
    assert [mistake["place"] for mistake in as_json.json()["mistakes"]] == places
    assert all(place in told.err for place in places)
    assert "did you mean providers?" in told.err


def test_the_schema_is_one_and_fits_a_file(here: Place) -> None:
    printed = run(here, "config-schema")
    schema = printed.json()
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid({"server": {"port": 8080}})
    assert not Draft202012Validator(schema).is_valid({"server": {"port": "eighty"}})


# -- providers


def configured(here: Place, upstreams: Serving) -> Place:
    """One provider that answers, one whose key is bad, one that is not there."""
    providers = {
        "deepseek": {"base_url": upstreams.banner["deepseek"], "api_key": f"sk-{KEY}"},
        "openrouter": {"base_url": upstreams.banner["openrouter"], "api_key": f"sk-bad-{KEY}"},
        "mine": {"base_url": f"http://127.0.0.1:{free_port()}/v1", "api_key": KEY},
    }
    return place(here.folder, LLM_SERVICE_PROVIDERS=orjson.dumps(providers).decode())


def test_providers_are_listed_without_their_keys(here: Place, upstreams: Serving) -> None:
    where = configured(here, upstreams)
    for_people, as_json = run(where, "providers", "list"), run(where, "providers", "list", "--json")
    assert (for_people.code, as_json.code) == (0, 0)
    assert [row["name"] for row in as_json.json()] == ["deepseek", "openrouter", "mine"]
    assert {row["key"] for row in as_json.json()} == {True}
    assert for_people.out.startswith(f"deepseek: deepseek at {upstreams.banner['deepseek']}, with a key\n")
    assert KEY not in for_people.out + as_json.out


def test_providers_that_fail_are_told_from_those_that_answer(here: Place, upstreams: Serving) -> None:
    where = configured(here, upstreams)
    for_people, as_json = run(where, "providers", "test"), run(where, "providers", "test", "--json")
    assert (for_people.code, as_json.code) == (1, 1)
    found: dict[str, Any] = {row["name"]: row for row in as_json.json()}
    assert (found["deepseek"]["ok"], found["deepseek"]["models"] > 0) == (True, True)
    assert (found["openrouter"]["ok"], found["openrouter"]["code"]) == (False, "upstream_auth_failed")
    assert (found["mine"]["ok"], found["mine"]["code"]) == (False, "upstream_error")
    lines = for_people.out.splitlines()
    assert [line.split(":")[0] for line in lines if line[0] != " "] == ["deepseek", "openrouter", "mine"]
    assert "  127.0.0.1 does not accept the key (status 401)." in lines
    assert_no_key(for_people, as_json)


def test_one_provider_can_be_tested(here: Place, upstreams: Serving) -> None:
    where = configured(here, upstreams)
    answered, unknown = run(where, "providers", "test", "deepseek"), run(where, "providers", "test", "deepsek")
    assert (answered.code, answered.out.startswith("deepseek: ok, ")) == (0, True)
    assert unknown.code == 2
    assert "configured are: deepseek, openrouter, mine" in unknown.err


def assert_no_key(*finished: Finished) -> None:
    said = "".join(one.out + one.err for one in finished)
    assert KEY not in said
    assert KEY[-12:] not in said


# -- usage and limits


def test_usage_is_read_from_the_command_line_while_the_service_runs(tmp_path: Path) -> None:
    where = place(tmp_path)
    with serving(where) as service:
        for _ in range(2):
            assert run(where, "chat", "--url", service.address, "-m", MODEL, "hello").code == 0
        reported = wait_until(lambda: reported_once_shipped(where, 2))
        verified = run(where, "usage", "verify")
        exported = run(where, "usage", "export", "--out", "usage.csv")
        limits = run(where, "limits", "--url", service.address, "--json").json()
    assert [(row["key"], row["model"], row["requests"]) for row in reported["data"]] == [("local", MODEL, 2)]
    assert (verified.code, verified.out) == (0, "2 records of 1 processes: all as they were written.\n")
    assert (exported.out, (tmp_path / "usage.csv").read_text().count("\n")) == ("2 records in usage.csv\n", 3)
    assert limits == {"data": [], "reach": "process", "stands_in": False}
    assert run(where, "usage", "report", "--json").json() == {**reported, "by": ["model"], "data": [
        {name: value for name, value in reported["data"][0].items() if name != "key"}
    ]}  # fmt: skip


def reported_once_shipped(where: Place, requests: int) -> Any:
    """The report by key and model, once so many records have come from the journal to the database."""
    report = run(where, "usage", "report", "--by", "key,model", "--json").json()
    return report if sum(row["requests"] for row in report["data"]) == requests else None


def a_record_of(upstream_id: str, folder: Path) -> None:
    """In the database of a service: a request whose cost is an estimate."""

    async def write() -> None:
        database = await open_database(None, data_dir=folder)
        began = datetime.now(UTC) - timedelta(minutes=1)
        guess = {"provider": "openrouter", "upstream_id": upstream_id, "cost_source": "estimate", "at": began}
        await database.ledger.append([row("req_1", nano_usd=5, **guess)])
        await database.aclose()

    folder.mkdir(mode=0o700)
    asyncio.run(write())


def test_estimates_are_corrected_by_what_the_provider_billed(here: Place, upstreams: Serving) -> None:
    key = {"Authorization": f"Bearer sk-{KEY}"}
    asked = ask(
        upstreams.address, "POST", "/openrouter/api/v1/chat/completions", chat_body("openai/gpt-4o-mini"), **key
    )
    upstream_id = asyncio.run(asked).json()["id"]
    a_record_of(upstream_id, here.folder / "data")
    providers = {"openrouter": {"base_url": upstreams.banner["openrouter"], "api_key": f"sk-{KEY}"}}
    where = place(here.folder, LLM_SERVICE_PROVIDERS=orjson.dumps(providers).decode())
    first = run(where, "usage", "reconcile", "--data-dir", "data", "--json")
    again = run(where, "usage", "reconcile", "--data-dir", "data")
    told = first.json()["providers"]["openrouter"]
    assert (first.code, told["corrections"], told["estimated_usd"]) == (0, 1, "0.000000005")
    assert (again.code, again.out) == (0, "openrouter: 0 corrected\n")
    total = run(where, "usage", "report", "--data-dir", "data", "--json").json()["total"]
    assert (total["requests"], total["cost_usd"]) == (1, told["billed_usd"])
    assert_no_key(first, again)


# -- the sandbox


async def test_the_sandbox_says_where_its_providers_are_and_answers_there(upstreams: Serving) -> None:
    answer = await ask(upstreams.address, "GET", "/openai/v1/models", Authorization="Bearer sk-test-0123456789")
    assert answer.status == 200
    assert upstreams.banner["openai"] == f"{upstreams.address}/openai/v1"
    assert upstreams.banner["openrouter"] == f"{upstreams.address}/openrouter/api/v1"
    assert upstreams.banner["local"] == f"{upstreams.address}/local/v1"


def test_the_sandbox_says_so_to_people_and_ends_when_it_is_asked(here: Place) -> None:
    with child(here, "sandbox", "--port", "0") as sandbox:
        said = sandbox.out.until_said("local: http://127.0.0.1:")
        assert sandbox.stop() == 0
    assert said.startswith("sandbox on http://127.0.0.1:")


# -- the command itself


def test_the_command_tells_its_version_and_its_commands(here: Place) -> None:
    assert run(here, "--version").out == f"llm-service {__version__}\n"
    help_text = run(here, "--help").out
    commands = "serve check-config config-schema models chat sandbox providers keys usage limits".split()
    assert [name for name in commands if name not in help_text] == []
