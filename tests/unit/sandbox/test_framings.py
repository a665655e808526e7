"""Every framing carries the same events; each shows its mark on the wire."""

import gzip
import zlib

import orjson
import pytest

from llm_service.sandbox import Sandbox
from tests.support.waiting import loop_turns
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import CHATS, OPENROUTER, PLAIN, Received, chat, connected, post
from tests.unit.sandbox.sse import parse

PROMPT = "echo: Ærøskøbing 世界 👩‍👩‍👧‍👦 is a long way off"
TEXT = PROMPT.removeprefix("echo: ")


async def streamed(ask: Ask, form: str, *, path: str = PLAIN) -> Received:
    return await ask(post(path, chat(f"sandbox/{form}+no-thinking", PROMPT, stream=True)))


def text_of(body: bytes) -> str:
    chunks = [orjson.loads(event.data) for event in parse(body).events if event.data != "[DONE]"]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


@pytest.mark.parametrize("path", CHATS)
@pytest.mark.parametrize(
    "form",
    ["crlf", "cr", "split-1", "split-7", "split-4096", "dribble", "merged", "merged-3", "bom", "no-space", "multi-line",
     "ids", "no-done", "double-done", "comments", "until-close", "crlf+bom+ids+multi-line+split-3"],
)  # fmt: skip
async def test_framing_keeps_the_text(ask: Ask, path: str, form: str) -> None:
    received = await streamed(ask, form, path=path)
    assert text_of(received.body) == TEXT


async def test_line_ends(ask: Ask) -> None:
    crlf, cr = await streamed(ask, "crlf"), await streamed(ask, "cr")
    assert crlf.body.count(b"\r\n") * 2 == crlf.body.count(b"\r") + crlf.body.count(b"\n")
    assert b"\n" not in cr.body


async def test_pieces_are_cut_inside_characters(ask: Ask) -> None:
    chunks = (await streamed(ask, "split-5")).chunks
    assert {len(chunk) for chunk in chunks[:-2]} == {5}
    assert any(not _is_utf8(chunk) for chunk in chunks)


async def test_dribble_is_byte_by_byte(ask: Ask) -> None:
    assert {len(chunk) for chunk in (await streamed(ask, "dribble")).chunks[:-1]} == {1}


async def test_merged_events_share_a_write(ask: Ask) -> None:
    assert [chunk.count(b"\n\n") for chunk in (await streamed(ask, "merged-4")).chunks[:3]] == [4, 4, 4]
    assert len((await streamed(ask, "merged")).chunks) == 2


async def test_byte_order_mark_comes_once(ask: Ask) -> None:
    body = (await streamed(ask, "bom")).body
    assert body.startswith(b"\xef\xbb\xbfdata: ")
    assert body.count(b"\xef\xbb\xbf") == 1


async def test_no_space_behind_the_colon(ask: Ask) -> None:
    body = (await streamed(ask, "no-space")).body
    assert b"data:{" in body
    assert b"data: " not in body


async def test_several_data_lines(ask: Ask) -> None:
    assert b'data: {\ndata:   "id"' in (await streamed(ask, "multi-line")).body


async def test_ids_stand_beside_the_data(ask: Ask) -> None:
    events = parse((await streamed(ask, "ids")).body).events
    assert [event.id for event in events[:3]] == ["1", "2", "3"]


async def test_done_is_missing_or_doubled(ask: Ask) -> None:
    assert (await streamed(ask, "no-done")).body.count(b"[DONE]") == 0
    assert (await streamed(ask, "double-done")).body.count(b"[DONE]") == 2


async def test_comments_stand_before_every_event(ask: Ask) -> None:
    stream = parse((await streamed(ask, "comments")).body)
    assert stream.comments == ["keep-alive"] * len(stream.events)


async def test_body_that_ends_with_the_connection(ask: Ask) -> None:
    received = await streamed(ask, "until-close")
    assert received.headers["connection"] == "close"
    assert "transfer-encoding" not in received.headers
    assert received.ending == "closed"


async def test_openrouter_sends_its_comments_at_irregular_times(ask: Ask) -> None:
    counts = {
        (await streamed(ask, "chat", path=OPENROUTER)).body.count(b": OPENROUTER PROCESSING\n\n") for _ in range(12)
    }
    assert len(counts) > 1


@pytest.mark.parametrize("stream", [True, False])
async def test_gzip_is_told_and_can_be_undone(ask: Ask, stream: bool) -> None:
    received = await ask(post(PLAIN, chat("sandbox/gzip", PROMPT, stream=stream)))
    assert received.headers["content-encoding"] == "gzip"
    body = gzip.decompress(received.body)
    assert (text_of(body) if stream else orjson.loads(body)["choices"][0]["message"]["content"]) == TEXT


async def test_gzip_streams_can_be_read_event_by_event(ask: Ask) -> None:
    received = await streamed(ask, "gzip")
    unpacker = zlib.decompressobj(31)
    assert unpacker.decompress(received.chunks[0]).endswith(b"\n\n")


async def test_bad_gzip_is_none(ask: Ask) -> None:
    received = await ask(post(PLAIN, chat("sandbox/bad-gzip")))
    assert received.headers["content-encoding"] == "gzip"
    assert received.body.startswith(b"{")


async def test_bomb_is_small_on_the_wire(ask: Ask) -> None:
    received = await ask(post(PLAIN, chat("sandbox/gzip-bomb-8mb")))
    assert len(received.body) < 32_768
    assert len(gzip.decompress(received.body)) > 8 * 1024 * 1024


async def test_separators_and_odd_characters_go_out_raw(ask: Ask) -> None:
    received = await ask(post(PLAIN, chat("sandbox/separators+unicode", "echo: !", stream=True)))
    for sign in ("\u0085", "\u2028", "\u2029", "שלום", "👩‍👩‍👧‍👦"):
        assert sign in text_of(received.body)
    assert "\u2028".encode() in received.body


async def test_one_long_event(ask: Ask) -> None:
    received = await ask(post(PLAIN, chat("sandbox/long-event-1mb", "echo: !", stream=True)))
    assert max(map(len, received.events)) > 1024 * 1024
    assert text_of(received.body).endswith("!")


async def test_bulk_is_as_large_as_said(ask: Ask) -> None:
    received = await ask(post(PLAIN, chat("sandbox/bulk-2mb", stream=True, max_tokens=10)))
    assert len(text_of(received.body)) == 2 * 1024 * 1024


async def test_bulk_waits_for_its_reader(sandbox: Sandbox) -> None:
    async with connected(sandbox.address) as client:
        await client.exchange(post(PLAIN, chat("sandbox/bulk-64mb", stream=True)), at_most=1000)
        await loop_turns(200)
        (entry,) = sandbox.requests()
        assert entry["state"] == "open"
        assert entry["chunks"] * 16 * 1024 < 16 * 1024 * 1024


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
