"""The fast lane and the plain one: the same on the wire, and for whoever answers."""

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import uvicorn

from llm_service.api.hot_request import HotRequest
from llm_service.api.rest.hang_up import PATIENCE_S
from tests.support.lanes import CHUNKS, MOST_BODY_BYTES, WHOLE, Site, framed, posted
from tests.support.waiting import loop_turns

LOCAL_CHUNKS = [b'{"chunk":%d}' % number for number in range(1, CHUNKS + 1)]


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def site(request: pytest.FixtureRequest) -> Site:
    return Site(fast=request.param)


async def test_a_request_goes_by_the_lane_that_is_there(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted())
    await site.settled()
    assert isinstance(protocol.cycle, HotRequest) is site.fast
    assert wire.said.startswith(b"HTTP/1.1 200 OK\r\ndate: Thu")
    assert wire.said.endswith(b"cache-control: private, no-store\r\n\r\n" + WHOLE)
    assert site.answered == [("POST", "/v1/chat/completions", 200)]
    assert not wire.closed


async def test_a_whole_answer_is_one_write(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted())
    await site.settled()
    assert len(wire.writes) == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (posted(target=b"/chat/completions/"), 200),
        (posted(fields=[b"Connection: close"]), 200),
        (framed(orjson.dumps({"model": "now", "input": "x"}), target=b"/v1/embeddings"), 200),
        (posted(key="sk-wrong"), 401),
        (posted("full"), 429),
        (posted("late"), 504),
        (posted("small"), 413),
        (posted("defect"), 500),
        (framed(b"{"), 400),
        (framed(b"x" * (MOST_BODY_BYTES + 1)), 413),
        (framed(b"x" * (MOST_BODY_BYTES + 1), chunks=3), 413),
        (posted(fields=[b"Content-Encoding: gzip"]), 400),
        (posted(fields=[b"Host: other"]), 400),
    ],
)
async def test_each_is_answered_once(site: Site, sent: bytes, status: int) -> None:
    protocol, wire = site.connect()
    protocol.data_received(sent)
    await site.settled()
    assert (wire.said.count(b"HTTP/1.1"), wire.said[9:12]) == (1, b"%d" % status)
    assert [one[2] for one in site.answered] == [status]
    unwanted = len(sent) > MOST_BODY_BYTES
    assert wire.closed is (b"\r\nconnection: close\r\n" in wire.said) is (unwanted or b"Connection: close" in sent)


async def test_a_stream_is_one_write_for_each_read_of_the_upstream(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted(stream=True))
    await site.settled()
    head, end, first = wire.writes[0].partition(b"transfer-encoding: chunked\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert end
    chunks = [first, *wire.writes[1:]] if site.fast else wire.writes[1:]  # the fast lane's head goes with the first
    assert len(chunks) == CHUNKS + 1
    assert all(chunk in written for chunk, written in zip(LOCAL_CHUNKS, chunks, strict=False))
    assert chunks[-1].endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


async def test_requests_that_follow_each_other_are_answered_in_their_order(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(
        posted("slow") + posted("full") + posted(stream=True) + posted(fields=[b"Connection: close"])
    )
    await site.settled()
    assert (site.gateway.asked, wire.said) == (["slow"], b"")
    site.gateway.may_answer.set()
    await site.settled()
    assert site.gateway.asked == ["slow", "full", "now", "now"]
    assert [part[:3] for part in wire.said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"429", b"200", b"200"]
    assert wire.closed


@pytest.mark.parametrize("is_open", [True, False])
async def test_who_waits_for_its_turn_is_answered_by_the_settings_that_are_in_force_then(is_open: bool) -> None:
    site, after = Site(fast=True), Site(fast=is_open)
    protocol, wire = site.connect()
    protocol.data_received(posted("slow") + posted())
    await site.settled()
    site.lane = after.lane
    site.gateway.may_answer.set()
    await site.settled()
    assert (site.gateway.asked, after.gateway.asked) == (["slow"], ["now"])
    assert wire.said.count(b" 200 OK") == 2
    protocol.data_received(posted("later"))
    assert isinstance(protocol.cycle, HotRequest) is is_open
    await site.settled()


# -- bodies in pieces


async def test_a_body_comes_in_pieces_at_the_pace_at_which_it_is_read(site: Site) -> None:
    protocol, wire = site.connect()
    sent = posted(content="x" * 150_000)
    for start in range(0, len(sent), 10_000):
        protocol.data_received(sent[start : start + 10_000])
        await loop_turns(3)
        assert wire.reads
    await site.settled()
    assert wire.said[9:12] == b"200"


async def test_who_is_not_read_is_not_read_from(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted(content="x" * 150_000)[:-10])
    assert not wire.reads
    await site.settled()
    assert wire.reads  # the door has taken what had come


async def test_who_has_sent_much_and_waits_is_read_from_so_that_its_leaving_is_noticed(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted("slow", content="x" * 100_000))
    assert not wire.reads
    await patience(site)
    assert (site.gateway.asked, wire.reads) == (["slow"], True)
    gone(protocol)
    await site.settled()


async def test_a_wrong_key_is_told_before_the_body_has_come_and_the_connection_goes_on(site: Site) -> None:
    protocol, wire = site.connect()
    sent = posted(key="sk-wrong", content="x" * 1000)
    protocol.data_received(sent[:-500])
    await site.settled()
    assert wire.said[9:12] == b"401"
    protocol.data_received(sent[-500:])
    protocol.data_received(posted())
    await site.settled()
    assert wire.said.count(b"HTTP/1.1 200 OK") == 1
    assert not wire.closed


async def test_who_announces_too_much_is_told_and_heard_for_a_while(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted(content="x" * (MOST_BODY_BYTES + 100))[:1000])
    await site.settled()
    assert wire.said[9:12] == b"413"
    assert b"\r\nconnection: close\r\n" in wire.said
    assert not wire.closed
    protocol.data_received(b"x" * (MOST_BODY_BYTES + 500))
    await site.settled()
    assert wire.closed


# -- clients that leave


def gone(protocol: Any) -> None:
    protocol.connection_lost(None)


async def patience(site: Site) -> None:
    """So long, and a client that leaves is noticed on the plain lane too."""
    await loop_turns(5)
    site.clock.advance(2 * PATIENCE_S)
    await loop_turns(5)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_what_it_waits_for(site: Site, stream: bool) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted("slow", stream=stream))
    await patience(site)
    gone(protocol)
    await site.settled()
    assert site.gateway.cancelled == ["slow"]
    assert (wire.said, site.answered) == (b"", [])
    assert not site.server.server_state.tasks


async def test_a_client_that_leaves_with_others_waiting_behind_it_ends_its_first_request(site: Site) -> None:
    protocol, _ = site.connect()
    protocol.data_received(posted("slow") + posted())
    await patience(site)
    gone(protocol)
    await site.settled()
    assert (site.gateway.cancelled, site.gateway.asked) == (["slow"], ["slow"])


async def test_a_client_that_leaves_before_its_request_began_to_be_served_ends_it_as_well(site: Site) -> None:
    protocol, _ = site.connect()
    protocol.data_received(posted("slow"))
    gone(protocol)
    await patience(site)
    await site.settled()
    assert len(site.gateway.asked) == len(site.gateway.cancelled)
    assert not site.server.server_state.tasks


async def test_a_client_that_leaves_in_a_stream_ends_it(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted("endless", stream=True))
    await loop_turns(10)
    gone(protocol)
    written = len(wire.writes)
    await site.settled()
    assert site.gateway.streamed[0].detached
    assert len(wire.writes) == written


async def test_a_client_that_leaves_in_mid_body_is_not_answered(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted(content="x" * 1000)[:-10])
    await site.settled()
    gone(protocol)
    await site.settled()
    assert (site.gateway.asked, wire.said, site.log.of("defect")) == ([], b"", [])
    assert not site.server.server_state.tasks


# -- clients that do not read


async def test_a_stream_waits_for_a_client_that_does_not_read(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted("endless", stream=True))
    await loop_turns(10)
    protocol.pause_writing()
    await loop_turns(10)
    written = len(wire.writes)
    await site.settled()
    assert site.gateway.streamed[0].paused
    assert len(wire.writes) == written
    protocol.resume_writing()
    await loop_turns(10)
    assert len(wire.writes) > written
    numbers = [int(part.split(b"}")[0]) for part in wire.said.split(b'{"chunk":')[1:]]
    assert numbers == list(range(1, len(numbers) + 1))
    gone(protocol)
    await site.settled()


@pytest.mark.parametrize("sent", [posted(), posted("full"), posted(stream=True), framed(b"x" * (MOST_BODY_BYTES + 1))])
async def test_no_answer_is_piled_upon_others_that_are_not_read(site: Site, sent: bytes) -> None:
    protocol, wire = site.connect()
    protocol.pause_writing()
    protocol.data_received(sent)
    await site.settled()
    assert wire.said == b""
    protocol.resume_writing()
    await site.settled()
    alone = Site(fast=site.fast)
    other, expected = alone.connect()
    other.data_received(sent)
    await alone.settled()
    assert wire.said == expected.said


async def test_the_end_of_a_stream_waits_as_well(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted("stalled", stream=True))
    await site.settled()
    protocol.pause_writing()
    await site.serving.drain(0, hurried=asyncio.Event())
    await site.settled()
    assert b"draining" not in wire.said
    protocol.resume_writing()
    await site.settled()
    assert b'"code":"draining"' in wire.said
    assert wire.said.endswith(b"\r\n0\r\n\r\n")


async def test_a_client_that_leaves_while_it_does_not_read_holds_up_nobody(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.pause_writing()
    protocol.data_received(posted())
    await site.settled()
    gone(protocol)
    await site.settled()
    assert wire.said == b""
    assert not site.server.server_state.tasks


# -- the end of the service


async def test_who_comes_while_the_service_drains_is_told(site: Site) -> None:
    protocol, wire = site.connect()
    await site.serving.drain(0, hurried=asyncio.Event())
    protocol.data_received(posted())
    await site.settled()
    assert wire.said[9:12] == b"503"


async def test_who_waits_when_the_grace_ends_is_told(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted("slow"))
    other, second = site.connect()
    other.data_received(posted("endless", stream=True))
    third, body = site.connect()
    third.data_received(posted()[:-5])
    await loop_turns(10)
    await site.serving.drain(0, hurried=asyncio.Event())
    await site.settled()
    assert (wire.said[9:12], body.said[9:12]) == (b"503", b"503")
    assert b'"code":"draining"' in second.said
    assert second.said.endswith(b"\r\n0\r\n\r\n")


async def test_an_answer_that_has_not_begun_when_the_process_leaves_says_that_it_closes(site: Site) -> None:
    protocol, wire = site.connect()
    protocol.data_received(posted("slow"))
    await loop_turns(3)
    protocol.leave()
    site.gateway.may_answer.set()
    await site.settled()
    assert b"\r\nconnection: close\r\n" in wire.said
    assert wire.closed


async def test_what_fails_beyond_the_door_is_told_and_closes(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="uvicorn.error")
    protocol, wire = site.connect()
    protocol.data_received(posted("end"))
    await site.settled()
    assert wire.said.startswith(b"HTTP/1.1 500 ")
    assert wire.said.endswith(b"\r\nconnection: close\r\n\r\nInternal Server Error")
    assert wire.closed


# -- what does not go by the fast lane


@pytest.mark.parametrize(
    "sent",
    [
        posted(version=b"1.0"),
        posted(fields=[b"Expect: 100-continue"]),
        posted(fields=[b"Origin: http://127.0.0.1"]),
        posted(target=b"/v1/chat/completions?a=b"),
        posted(target=b"/v1/chat%2Fcompletions"),
        posted(fields=[b"Connection: Upgrade", b"Upgrade: h2c"])[:-1] + b"}",
    ],
)
async def test_what_needs_more_goes_the_plain_way(sent: bytes) -> None:
    site = Site(fast=True)
    protocol, wire = site.connect()
    protocol.data_received(sent)
    await site.settled()
    if b"Upgrade" not in sent:  # once that is declined, it is as any other
        assert not isinstance(protocol.cycle, HotRequest)
    assert wire.said.count(b" 200 OK\r\n") + wire.said.count(b" 404 ") == 1


async def test_with_a_server_of_another_version_everything_goes_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn, "__version__", "0.54.1")
    site = Site(fast=True)
    protocol, wire = site.connect()
    protocol.data_received(posted())
    await site.settled()
    assert not isinstance(protocol.cycle, HotRequest)
    assert wire.said[9:12] == b"200"


async def test_it_is_known_to_fit_the_version_that_is_installed() -> None:
    site = Site(fast=True)
    protocol, _ = site.connect()
    protocol.data_received(posted())
    assert isinstance(protocol.cycle, HotRequest)
    await site.settled()


# -- what is left behind


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_leaves_no_reference_cycle(site: Site, stream: bool) -> None:
    await measured(site, lambda: posted(stream=stream))


async def test_a_refusal_leaves_no_reference_cycle(site: Site) -> None:
    await measured(site, lambda: posted(key="sk-wrong"))


async def measured(site: Site, sent: Callable[[], bytes]) -> None:
    protocol, _ = site.connect()
    protocol.data_received(sent())
    await site.settled()
    site.gateway.streamed.clear()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            protocol.data_received(sent())
            await site.settled()
            site.gateway.streamed.clear()
        assert gc.collect() == 0
    finally:
        gc.enable()
