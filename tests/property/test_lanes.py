"""Whatever bytes come, and however they are cut: both lanes write the same bytes, and do the same to the connection."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.lanes import KEY, Site, framed, posted
from tests.support.malformed_framing import LEFT, REFUSED, TOO_MUCH

MODELS = ("now", "later", "slow", "full", "late", "defect", "torn", "small")
FIELDS = (
    b"Connection: close",
    b"Connection: keep-alive",
    b"Expect: 100-continue",
    b"Origin: http://127.0.0.1",
    b"Host: twice",
    b"X-LLM-Timeout-S: soon",
    b"Content-Encoding: br",
    b"Connection: Upgrade\r\nUpgrade: h2c",
    b"Last-Event-ID: str_1.1",
    b"Idempotency-Key: a",
)
TARGETS = (b"/v1/chat/completions", b"/chat/completions/", b"/v1/completions", b"/v1/chat/completions?a", b"/none")
fields = st.lists(st.sampled_from(FIELDS), max_size=2, unique=True)
targets = st.sampled_from((TARGETS[0], *TARGETS))
keys = st.sampled_from((KEY, KEY, KEY, "sk-wrong"))
versions = st.sampled_from((b"1.1", b"1.1", b"1.0"))


def a_body(model: str, stream: bool, size: int) -> bytes:
    return orjson.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "x" * size}]})


def with_key(data: bytes) -> bytes:
    """What is hostile, sent by somebody who may come in."""
    return data.replace(b"Content-Type", b"X-Api-Key: %b\r\nContent-Type" % KEY.encode(), 1)


bodies = st.builds(a_body, st.sampled_from(MODELS), st.booleans(), st.sampled_from((1, 1, 500, 70_000, 210_000)))
requests = st.one_of(
    st.builds(posted, st.sampled_from(MODELS), stream=st.booleans()),
    st.builds(framed, bodies, fields=fields, key=keys, target=targets, version=versions),
    st.builds(framed, bodies, fields=fields, key=keys, target=targets, chunks=st.integers(1, 4)),
    st.builds(framed, st.sampled_from((b"", b"{", b"[]", b"{}")), fields=fields, key=keys),
    st.sampled_from((*REFUSED, *LEFT, *TOO_MUCH)).map(with_key),
)


@dataclass(frozen=True)
class Said:
    """What a server has done with a connection, and told those who keep figures of it."""

    data: bytes
    closed: bool
    answered: Sequence[tuple[str, str, int]]
    log: Sequence[Any]


async def said_to(pieces: Sequence[tuple[bytes, bool]], *, fast: bool) -> Said:
    """``pieces``: each with whether all that can happen has happened before the next one comes."""
    site = Site(fast=fast)
    protocol, wire = site.connect()
    for piece, settled in pieces:
        if not wire.closed:
            protocol.data_received(piece)
        if settled:
            await site.settled()
    await site.settled()
    site.gateway.may_answer.set()
    for _ in range(3):
        await site.settled()
    said = Said(wire.said, wire.closed, site.answered, [(line["event"], line.get("reason")) for line in site.log.lines])
    protocol.connection_lost(None)
    for _ in range(3):
        await site.settled()
    assert not site.server.server_state.tasks
    return said


@given(st.lists(requests, min_size=1, max_size=4), st.data())
def test_both_lanes_say_the_same(several: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(several)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent)), max_size=5)))
    ends = [*cuts, len(sent)]
    settled = data.draw(st.lists(st.booleans(), min_size=len(ends), max_size=len(ends)))
    pieces = [(sent[start:end], rest) for start, end, rest in zip([0, *cuts], ends, settled, strict=True)]
    fast, plain = (asyncio.run(said_to(pieces, fast=lane)) for lane in (True, False))
    assert fast == plain


def test_both_lanes_say_the_same_to_what_is_hostile() -> None:
    async def each(*, fast: bool) -> list[Said]:
        return [await said_to([(with_key(sent), True)], fast=fast) for sent in (*REFUSED, *LEFT, *TOO_MUCH)]

    fast, plain = (asyncio.run(each(fast=lane)) for lane in (True, False))
    assert fast == plain


@pytest.mark.parametrize("waiting", [1, 2, 3])
def test_what_came_whole_is_answered_whatever_comes_behind_it(waiting: int) -> None:
    torn = framed(b"{}", chunks=1).partition(b"\r\n\r\n")[0] + b"\r\n\r\nno length of a chunk\r\n"
    alone = posted(stream=True) * waiting

    async def to(sent: bytes, *, fast: bool) -> Said:
        return await said_to([(sent, True)], fast=fast)

    whole = asyncio.run(to(alone, fast=False))
    for lane in (True, False):
        said = asyncio.run(to(alone + torn, fast=lane))
        assert said.closed
        assert said.data.replace(b"connection: close\r\n", b"") == whole.data


def test_both_lanes_say_the_same_wherever_a_request_is_cut() -> None:
    sent = posted(stream=True) + posted("full")

    async def at(cut: int, *, fast: bool) -> Said:
        return await said_to([(sent[:cut], True), (sent[cut:], True)], fast=fast)

    async def everywhere() -> set[tuple[bytes, bool]]:
        return {(one.data, one.closed) for cut in range(0, len(sent), 7) for one in [await at(cut, fast=True)]}

    whole = asyncio.run(at(0, fast=False))
    assert asyncio.run(everywhere()) == {(whole.data, whole.closed)}
