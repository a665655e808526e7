"""Silence and broken connections, as they look on the wire."""

import asyncio

import pytest

from llm_service.sandbox import Sandbox
from tests.support.clock import ManualClock
from tests.unit.sandbox.conftest import Ask
from tests.unit.sandbox.raw import (
    CHATS,
    DEEPSEEK,
    OPENROUTER,
    PLAIN,
    Client,
    Received,
    chat,
    connected,
    eventually,
    post,
)


async def broken(ask: Ask, form: str, *, path: str = PLAIN, stream: bool = True) -> Received:
    return await ask(post(path, chat(f"sandbox/{form}", "count to 20", stream=stream)))


def content_events(received: Received) -> list[bytes]:
    return [event for event in received.events if b'"content":"' in event and b'"content":""' not in event]


async def test_end_after_keeps_http_but_has_no_finish(ask: Ask) -> None:
    received = await broken(ask, "end-after-3")
    assert received.is_complete
    assert received.text == "1, 2"
    assert b"[DONE]" not in received.body
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in received.objects)


async def test_cut_after_closes_between_two_events(ask: Ask) -> None:
    received = await broken(ask, "cut-after-3")
    assert (received.ending, received.is_complete) == ("closed", False)
    assert received.body.endswith(b"\n\n")
    assert len(content_events(received)) == 3


async def test_cut_after_none_sends_the_head_alone(ask: Ask) -> None:
    received = await broken(ask, "cut-after-0")
    assert (received.status, received.rest, received.ending) == (200, b"", "closed")


async def test_cut_inside_closes_within_an_event(ask: Ask) -> None:
    received = await broken(ask, "cut-inside-3")
    assert received.ending == "closed"
    assert not received.rest.endswith(b"\r\n")
    *_, size, begun = received.rest.split(b"\r\n")
    assert int(size, 16) > len(begun) > 20


async def test_cut_utf8_closes_within_a_character(ask: Ask) -> None:
    received = await broken(ask, "cut-utf8-2")
    assert received.rest.endswith(b'"content":"\xe2\x82')
    with pytest.raises(UnicodeDecodeError):
        received.rest.decode()


@pytest.mark.parametrize("path", CHATS)
async def test_reset_after_delivers_the_chunks_before_it(ask: Ask, path: str) -> None:
    received = await broken(ask, "reset-after-3+no-thinking", path=path)
    assert received.ending == "reset"
    assert len(content_events(received)) == 3


async def test_more_chunks_than_there_are_still_break_before_the_finish(ask: Ask) -> None:
    received = await broken(ask, "cut-after-5000")
    assert received.text.endswith("20.")
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in received.objects)


async def test_bad_chunking_is_not_hexadecimal(ask: Ask) -> None:
    received = await broken(ask, "bad-chunking-2")
    assert b"\r\nzz\r\n" in received.rest


@pytest.mark.parametrize("form", ["cut-after", "cut-inside", "cut-utf8"])
async def test_whole_answers_are_cut_short_of_their_length(ask: Ask, form: str) -> None:
    received = await broken(ask, form, stream=False)
    assert received.ending == "closed"
    assert 0 < len(received.rest) < int(received.headers["content-length"])


async def test_whole_answers_have_bad_chunks_too(ask: Ask) -> None:
    received = await broken(ask, "bad-chunking", stream=False)
    assert b"\r\nzz\r\n" in received.rest
    assert received.ending == "closed"


async def test_whole_answers_are_reset(ask: Ask) -> None:
    received = await broken(ask, "reset-after", stream=False)
    assert (received.ending, received.is_complete) == ("reset", False)


@pytest.mark.parametrize("stream", [True, False])
async def test_drop_sends_nothing(ask: Ask, stream: bool) -> None:
    assert (await broken(ask, "drop", stream=stream)).head == b""
    assert (await broken(ask, "drop-reset", stream=stream)).ending == "reset"


async def test_cut_head_stops_within_a_header(ask: Ask) -> None:
    received = await broken(ask, "cut-head")
    assert received.head.endswith(b"applica")
    assert received.ending == "closed"


# Silence: time is turned by hand.


class Waiting:
    """A request under way, against a clock that stands still."""

    def __init__(self, client: Client, clock: ManualClock) -> None:
        self._client = client
        self._clock = clock
        self.got = b""

    async def until(self, part: bytes) -> None:
        async with asyncio.timeout(5):
            while part not in self.got:
                self.got += await self._client.reader.read(65536)

    async def pass_time(self, seconds: float) -> None:
        """Turn the clock, once the sandbox has gone to sleep and everything sent has arrived."""
        await eventually(lambda: bool(self._clock._timers))
        self.got += await self._arrived()
        self._clock.advance(seconds)

    async def _arrived(self) -> bytes:
        try:
            async with asyncio.timeout(0.02):
                return await self._client.reader.read(65536)
        except TimeoutError:
            return b""


async def test_slow_head_holds_everything_back(slow_sandbox: Sandbox, clock: ManualClock) -> None:
    async with connected(slow_sandbox.address) as client:
        waiting = Waiting(client, clock)
        client.writer.write(post(PLAIN, chat("sandbox/slow-head-2s")))
        await waiting.pass_time(1.9)
        assert waiting.got == b""
        await waiting.pass_time(0.2)
        await waiting.until(b"chat.completion")


async def test_slow_first_byte_sends_the_head_at_once(slow_sandbox: Sandbox, clock: ManualClock) -> None:
    async with connected(slow_sandbox.address) as client:
        waiting = Waiting(client, clock)
        client.writer.write(post(PLAIN, chat("sandbox/slow-first-byte-2s", stream=True)))
        await waiting.until(b"\r\n\r\n")
        await waiting.pass_time(1.9)
        assert b"data:" not in waiting.got
        await waiting.pass_time(0.2)
        await waiting.until(b"[DONE]")


@pytest.mark.parametrize(
    ("path", "stream", "line"),
    [
        (OPENROUTER, True, b": OPENROUTER PROCESSING\n\n"),
        (DEEPSEEK, True, b": keep-alive\n\n"),
        (DEEPSEEK, False, b"1\r\n\n\r\n"),
    ],
)
async def test_keep_alives_come_before_the_answer(
    slow_sandbox: Sandbox, clock: ManualClock, path: str, stream: bool, line: bytes
) -> None:
    async with connected(slow_sandbox.address) as client:
        waiting = Waiting(client, clock)
        client.writer.write(post(path, chat("sandbox/keep-alive-3s+keep-alive-every-1s+no-thinking", stream=stream)))
        for count in (1, 2, 3):
            await waiting.pass_time(1)
            assert waiting.got.count(line) == count
            assert b"choices" not in waiting.got
        await waiting.until(b"choices")


async def test_stall_after_falls_silent_and_stays_open(slow_sandbox: Sandbox, clock: ManualClock) -> None:
    async with connected(slow_sandbox.address) as client:
        waiting = Waiting(client, clock)
        client.writer.write(post(PLAIN, chat("sandbox/stall-after-3+stall-for-30s", "count to 9", stream=True)))
        await waiting.pass_time(29)
        assert b'"content":" 2"' in waiting.got
        assert b'"content":" 3"' not in waiting.got
        await waiting.pass_time(2)
        await waiting.until(b"[DONE]")


async def test_stall_may_be_filled_with_comments(slow_sandbox: Sandbox, clock: ManualClock) -> None:
    async with connected(slow_sandbox.address) as client:
        waiting = Waiting(client, clock)
        model = "sandbox/stall-after-2+stall-for-3s+keep-alive-every-1s"
        client.writer.write(post(PLAIN, chat(model, "count to 9", stream=True)))
        for count in (1, 2, 3):
            await waiting.pass_time(1)
            assert waiting.got.count(b": keep-alive\n\n") == count
            assert b'"content":" 2"' not in waiting.got
        await waiting.until(b"[DONE]")


async def test_whole_answers_stall_in_their_middle(slow_sandbox: Sandbox, clock: ManualClock) -> None:
    async with connected(slow_sandbox.address) as client:
        waiting = Waiting(client, clock)
        client.writer.write(post(PLAIN, chat("sandbox/stall-after+stall-for-30s+slow-first-byte-1s")))
        await waiting.pass_time(1)
        await waiting.pass_time(29)
        assert b'"object":"chat.completion"' in waiting.got
        assert b'"usage"' not in waiting.got
        await waiting.pass_time(2)
        await waiting.until(b'"usage"')


async def test_stall_without_an_end_ends_with_the_client(slow_sandbox: Sandbox) -> None:
    async with connected(slow_sandbox.address) as client:
        client.writer.write(post(PLAIN, chat("sandbox/stall-head")))
        await eventually(lambda: slow_sandbox.stats()["open"] == 1)
    await eventually(lambda: slow_sandbox.stats()["open"] == 0)
    assert slow_sandbox.stats()["states"] == {"cancelled": 1}


async def test_pace_lies_between_the_chunks(slow_sandbox: Sandbox, clock: ManualClock) -> None:
    async with connected(slow_sandbox.address) as client:
        waiting = Waiting(client, clock)
        client.writer.write(post(PLAIN, chat("sandbox/pace-1s", "count to 3", stream=True)))
        for text in (b'"content":"1"', b'"content":","', b'"content":" 2"'):
            await waiting.until(text)
            assert b'"content":" 3"' not in waiting.got
            await waiting.pass_time(1)
