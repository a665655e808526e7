"""Malformed bodies, hostile heads, redirects and closings."""

import pytest

from llm_service.sandbox import Sandbox
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import CHATS, DEEPSEEK, PLAIN, Received, chat, connected, post

BOTH = pytest.mark.parametrize("stream", [True, False])


async def sent(ask: Ask, form: str, *, stream: bool = False, path: str = PLAIN, at_most: int = 1 << 62) -> Received:
    return await ask(post(path, chat(f"sandbox/{form}", "count to 9", stream=stream)), at_most=at_most)


@BOTH
async def test_html_with_200(ask: Ask, stream: bool) -> None:
    received = await sent(ask, "html", stream=stream)
    assert (received.status, received.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert received.body.startswith(b"<!doctype html>")


@BOTH
async def test_empty_200(ask: Ask, stream: bool) -> None:
    received = await sent(ask, "empty", stream=stream)
    assert (received.status, received.headers["content-length"], received.body) == (200, "0", b"")


@BOTH
async def test_blank_lines_and_the_end_of_the_connection(ask: Ask, stream: bool) -> None:
    received = await sent(ask, "blank-12", stream=stream, path=DEEPSEEK)
    assert (received.status, received.body, received.ending) == (200, b"\n" * 12, "closed")


async def test_json_that_stops_in_the_middle(ask: Ask) -> None:
    received = await sent(ask, "truncated-json")
    assert received.is_complete
    with pytest.raises(ValueError, match="unexpected end"):
        received.json()


@pytest.mark.parametrize("form", ["truncated-json", "not-json"])
async def test_one_bad_event_among_good_ones(ask: Ask, form: str) -> None:
    events = (await sent(ask, form, stream=True)).events
    bad = [place for place, event in enumerate(events[:-1]) if not event.endswith(b"}")]
    assert bad == [4]  # the opening chunk, three of content, then the bad one
    assert events[-1] == b"[DONE]"


async def test_text_instead_of_json(ask: Ask) -> None:
    assert b"hamster" in (await sent(ask, "not-json")).body


@BOTH
@pytest.mark.parametrize("path", CHATS)
async def test_bytes_that_are_not_utf8(ask: Ask, stream: bool, path: str) -> None:
    received = await sent(ask, "bad-utf8", stream=stream, path=path)
    assert received.is_complete
    with pytest.raises(UnicodeDecodeError):
        received.body.decode()


@BOTH
@pytest.mark.parametrize(
    ("form", "content_type"),
    [("content-type", "application/octet-stream"), ("content-type-text", "text/plain"), ("content-type-none", None)],
)
async def test_wrong_content_type(ask: Ask, stream: bool, form: str, content_type: str | None) -> None:
    received = await sent(ask, form, stream=stream)
    assert received.headers.get("content-type") == content_type
    assert b"choices" in received.body


async def test_redirect_leads_elsewhere(ask: Ask) -> None:
    received = await sent(ask, "redirect")
    assert received.status == 307
    assert received.headers["location"].startswith("http://redirected.invalid/")


async def test_redirect_to_a_trap(ask: Ask) -> None:
    received = await sent(ask, "redirect-302+redirect-to-http://127.0.0.1:9/trap")
    assert (received.status, received.headers["location"]) == (302, "http://127.0.0.1:9/trap")


async def test_big_headers(ask: Ask) -> None:
    received = await sent(ask, "big-headers-100kb")
    assert 100 * 1024 < len(received.head) < 110 * 1024
    assert received.json()["choices"]


async def test_endless_head(ask: Ask, sandbox: Sandbox) -> None:
    received = await sent(ask, "endless-head", at_most=2_000_000)
    assert received.ending == "enough"
    assert received.rest == b""
    assert sandbox.requests()[0]["status"] == 0


@BOTH
@pytest.mark.parametrize("form", ["endless-body", "endless-event"])
async def test_endless_bodies(ask: Ask, stream: bool, form: str) -> None:
    received = await sent(ask, form, stream=stream, at_most=2_000_000)
    assert received.ending == "enough"
    assert b"choices" not in received.rest


async def test_endless_event_has_no_line_end(ask: Ask) -> None:
    received = await sent(ask, "endless-event", stream=True, at_most=1_000_000)
    assert b"\n" not in b"".join(received.chunks)


async def test_informational_response_comes_first(ask: Ask) -> None:
    received = await sent(ask, "informational", stream=True, at_most=200)
    assert received.head.startswith(b"HTTP/1.1 103 Early Hints")
    assert received.rest.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(("form", "said"), [("close", "close"), ("silent-close", None)])
@BOTH
async def test_connection_closes_after_the_answer(sandbox: Sandbox, form: str, said: str | None, stream: bool) -> None:
    async with connected(sandbox.address) as client:
        received = await client.exchange(post(PLAIN, chat(f"sandbox/{form}", stream=stream)))
        assert received.is_complete
        assert received.headers.get("connection") == said
        assert await client.ended() == "closed"
    assert sandbox.stats()["states"] == {"completed": 1}
