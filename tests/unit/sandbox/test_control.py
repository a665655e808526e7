"""Rules at run time, and what the sandbox tells about itself."""

from typing import Any

import pytest

from llm_service.sandbox import Sandbox
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import DEEPSEEK, OPENROUTER, PLAIN, chat, get, post, request

PLAIN_CHAT = post(PLAIN, chat("gpt-4o"))


async def rule(ask: Ask, behaviour: Any, **more: Any) -> Any:
    received = await ask(post("/_control", {"behaviour": behaviour, **more}, key=None))
    assert received.status == 201
    return received.json()


async def test_rule_holds_for_what_matches(ask: Ask) -> None:
    await rule(ask, "error-503", match={"provider": "openai"})
    assert (await ask(PLAIN_CHAT)).status == 503
    assert (await ask(post(DEEPSEEK, chat("deepseek-flash")))).status == 200


async def test_rule_is_used_up(ask: Ask) -> None:
    await rule(ask, {"error": "500"}, times=2)
    assert [(await ask(PLAIN_CHAT)).status for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize(
    ("match", "status"),
    [
        ({"model": "gpt-*"}, 429),
        ({"model": "claude*"}, 200),
        ({"path": "*/chat/completions"}, 429),
        ({"key": "sk-test-1234"}, 429),
        ({"key": "sk-other"}, 200),
        ({"model": "gpt-4o", "provider": "deepseek"}, 200),
        ({}, 429),
    ],
)
async def test_matches_are_patterns_that_must_all_fit(ask: Ask, match: dict[str, str], status: int) -> None:
    await rule(ask, "error-429", match=match)
    assert (await ask(PLAIN_CHAT)).status == status


async def test_newest_rule_decides_and_reset_forgets_all(ask: Ask) -> None:
    await rule(ask, "error-429")
    await rule(ask, "error-503")
    assert (await ask(PLAIN_CHAT)).status == 503
    await ask(request("DELETE", "/_control"))
    assert (await ask(PLAIN_CHAT)).status == 200


async def test_rules_are_listed_with_their_use(ask: Ask) -> None:
    await rule(ask, "error-429", times=3, match={"model": "gpt-4o"})
    await ask(PLAIN_CHAT)
    (listed,) = (await ask(get("/_control"))).json()["rules"]
    assert (listed["times"], listed["left"], listed["used"]) == (3, 2, 1)
    assert listed["behaviour"] == {"error": "429"}


@pytest.mark.parametrize(
    "body",
    [
        b"nothing",
        [],
        {"behaviour": "cut-aftr-3"},
        {"behaviour": 3},
        {"behaviour": {"crlff": True}},
        {"behaviour": "crlf", "times": 0},
        {"behaviour": "crlf", "match": {"colour": "red"}},
        {"behaviour": "crlf", "match": {"model": 3}},
        {"behaviour": "crlf", "rule": 1},
        {"behaviour": {"error": 5}},
        {"behaviour": "error-in-200-777"},
        {"behaviour": "error-mid-nonsense"},
    ],
)
async def test_rules_that_make_no_sense_are_refused(ask: Ask, body: Any) -> None:
    received = await ask(post("/_control", body))
    assert received.status == 400
    assert (await ask(get("/_control"))).json()["rules"] == []


async def test_request_can_carry_its_own_behaviour(ask: Ask) -> None:
    assert (await ask(post(PLAIN, chat("gpt-4o", sandbox="error-503")))).status == 503
    assert (await ask(post(OPENROUTER, chat("openai/gpt-4o", sandbox={"error": "429-rpm"})))).status == 429


async def test_rule_wins_over_the_model_name(ask: Ask) -> None:
    await rule(ask, "error-503")
    assert (await ask(post(PLAIN, chat("sandbox/error-429")))).status == 503


async def test_unknown_form_in_a_model_name_is_explained(ask: Ask) -> None:
    received = await ask(post(PLAIN, chat("sandbox/eror-429")))
    assert received.status == 400
    assert "did you mean error" in received.json()["error"]["message"]


async def test_unknown_error_is_explained_with_the_known_ones(ask: Ask) -> None:
    received = await ask(post(PLAIN, chat("sandbox/error-777")))
    assert received.status == 400
    assert "429-quota" in received.json()["error"]["message"]


async def test_first_so_many_requests_of_a_model_and_key(ask: Ask) -> None:
    body = chat("sandbox/error-503+first-2")
    assert [(await ask(post(PLAIN, body))).status for _ in range(3)] == [503, 503, 200]
    assert (await ask(post(PLAIN, body, key="sk-other-key"))).status == 503


async def test_share_of_the_requests(ask: Ask) -> None:
    statuses = [(await ask(post(PLAIN, chat("sandbox/error-503+share-40")))).status for _ in range(50)]
    assert 8 <= statuses.count(503) <= 32


async def test_rules_reach_catalogue_and_account_paths(ask: Ask) -> None:
    await rule(ask, "error-503", match={"path": "/deepseek/user/balance"})
    assert (await ask(get("/deepseek/user/balance"))).status == 503
    assert (await ask(get("/deepseek/models"))).status == 200


async def test_script_in_the_same_process(sandbox: Sandbox, ask: Ask) -> None:
    sandbox.script("error-503", times=1, match={"model": "gpt-4o"})
    assert [(await ask(PLAIN_CHAT)).status for _ in range(2)] == [503, 200]
    with pytest.raises(ValueError, match="unknown"):
        sandbox.script("eror-503")


async def test_forms_are_listed(ask: Ask) -> None:
    forms = (await ask(get("/_control"))).json()["forms"]
    assert {"name": "crlf", "takes": "nothing", "default": None, "does": "CRLF line ends"} in forms[
        "Framing of streams"
    ]


async def test_front_page_names_the_mounts(ask: Ask) -> None:
    assert "/deepseek" in (await ask(get("/"))).json()["mounts"]


async def test_unknown_path_is_404(ask: Ask) -> None:
    assert (await ask(get("/nowhere"))).status == 404
