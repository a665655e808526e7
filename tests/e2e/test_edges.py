"""Requests at the edge of what HTTP and JSON allow, and what the service makes of them."""

import pytest

from tests.support.rest import ask, chat_body
from tests.support.service import Running

PATH = "/v1/chat/completions"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_nested_beyond_what_can_be_passed_on_is_the_callers_mistake(gateway: Running, stream: bool) -> None:
    deep: object = 1
    for _ in range(250):
        deep = [deep]
    body = chat_body("plain/sandbox/chat", stream=stream, deep=deep).replace(b"[1]", b"[" * 100 + b"]" * 100)
    answer = await ask(gateway.address, "POST", PATH, body)
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_value")
    assert "nested" in answer.json()["error"]["message"]
    assert gateway.log.of("defect") == []
