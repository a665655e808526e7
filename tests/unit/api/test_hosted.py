"""An application below another one sees what it would see on its own."""

from typing import Any

import pytest

from llm_service.api import Hosted
from llm_service.api.hosted import inside
from llm_service.api.http_request import Message, Receive, Scope, Send

PLACES = {
    "at the root": ("", "/v1/models", "/v1/models"),
    "below an address": ("/llm", "/llm/v1/models", "/v1/models"),
    "the address itself": ("/llm", "/llm", "/"),
    "the address with a slash": ("/llm/", "/llm/", "/"),
    "an address that begins alike": ("/llm", "/llms/v1", "/llms/v1"),
    "behind a proxy that took the address away": ("/llm", "/v1/models", "/v1/models"),
}


@pytest.mark.parametrize(("root", "path", "seen"), PLACES.values(), ids=PLACES)
def test_its_addresses_begin_where_it_was_mounted(root: str, path: str, seen: str) -> None:
    scope = inside({"type": "http", "root_path": root, "path": path})
    assert (scope["path"], scope["root_path"]) == (seen, "")


def test_what_the_host_found_out_stays_with_the_host() -> None:
    scope = inside({"type": "http", "path": "/", "path_params": {"tenant": "acme"}, "app": object(), "state": {"a": 1}})
    assert scope == {"type": "http", "path": "/", "root_path": "", "state": {"a": 1}}


async def test_its_answers_say_what_our_server_says_unless_they_say_it_themselves() -> None:
    said: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"SAMEORIGIN")]})

    async def send(message: Message) -> None:
        said.append(message)

    nothing: Any = None
    await Hosted(app)({"type": "http", "path": "/"}, nothing, send)
    headers = said[0]["headers"]
    assert (b"x-content-type-options", b"nosniff") in headers
    assert [value for name, value in headers if name == b"x-frame-options"] == [b"SAMEORIGIN"]
