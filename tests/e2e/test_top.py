"""``llm-service top`` in front of a running service: on a terminal, through a pipe, for programs."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.support.process import Place, Serving, child, on_terminal, place, run, serving
from tests.support.rest import ask, chat_body

CHAT = "/v1/chat/completions"
FAILING = "openai/sandbox/error-500"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(place(tmp_path_factory.mktemp("served"))) as service:
        yield service


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place(tmp_path)


def test_once_shows_the_state_and_ends(here: Place, service: Serving) -> None:
    shown = run(here, "top", "--once", "--url", service.address)
    assert (shown.code, shown.err) == (0, "")
    first, blank, requests, *_ = shown.out.splitlines()
    assert re.fullmatch(rf"llm-service \S+  SANDBOX  (ok|degraded)  up .+  \d+ in flight  {service.address}", first)
    assert (blank, requests.split()[0]) == ("", "requests")
    assert "\x1b" not in shown.out


def test_for_programs_it_is_one_line_of_json(here: Place, service: Serving) -> None:
    shown = run(here, "top", "--once", "--json", "--url", service.address)
    assert shown.code == 0
    (line,) = shown.out.splitlines()
    assert {"requests_per_s", "latency_p95_s", "by_provider"} <= orjson.loads(line).keys()


def test_through_a_pipe_it_goes_on_line_by_line(here: Place, service: Serving) -> None:
    with child(here, "top", "--json", "--url", service.address) as watching:
        watching.out.until(lambda text: text.count("\n") >= 2)
        watching.signal(signal.SIGINT)
        assert watching.ended() == 0
    first, second = map(orjson.loads, watching.out.all().splitlines()[:2])
    assert first["at"] < second["at"]
    assert watching.err.all() == ""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_on_a_terminal_it_draws_and_leaves_it_as_it_was(
    here: Place, service: Serving, end: signal.Signals
) -> None:
    with on_terminal(here, "top", "--url", service.address) as (watching, _):
        watching.out.until_said("requests")
        await ask(service.address, "POST", CHAT, chat_body(FAILING))
        watching.out.until_said("last errors")
        watching.signal(end)
        assert watching.ended() == 0
    said = watching.out.all()
    assert said.startswith("\x1b[?1049h\x1b[?25l")
    assert said.rstrip().endswith("\x1b[?25h\x1b[?1049l")
    assert "\x1b[2J" not in said  # what is cleared and drawn again flickers
    assert "Traceback" not in said


def test_without_colours_it_only_moves_the_cursor(tmp_path: Path, service: Serving) -> None:
    with on_terminal(place(tmp_path, NO_COLOR="1"), "top", "--url", service.address) as (watching, type_):
        watching.out.until_said("requests")
        type_("\x03")
        assert watching.ended() == 0
    assert not re.search(r"\x1b\[[0-9;]*m", watching.out.all())


def test_a_terminal_that_can_do_nothing_gets_text(tmp_path: Path, service: Serving) -> None:
    with on_terminal(place(tmp_path, TERM="dumb"), "top", "--url", service.address) as (watching, type_):
        watching.out.until_said("requests")
        type_("\x03")
        assert watching.ended() == 0
    assert "\x1b" not in watching.out.all()


def test_where_nobody_answers_it_says_so(here: Place) -> None:
    refused = run(here, "top", "--url", "http://127.0.0.1:1")
    assert (refused.code, refused.out) == (1, "")
    assert "No service answers at http://127.0.0.1:1" in refused.err


def test_a_wrong_key_is_told(here: Place, service: Serving) -> None:
    refused = run(here, "top", "--json", "--url", service.address, "--key", "wrong")
    assert refused.code == 1
    assert refused.json()["error"]["code"] == "invalid_api_key"
