"""The two clients against each other: the same bytes in the same pieces lead to the same outcome.

Differences that are known, and meant:

- Our own client is the stricter one: what aiohttp reads with leniency (a lone LF or CR in the head, a blank before a
  colon or after a chunk's size, a folded header, any transfer encoding that ends in chunks, a 101) it calls a protocol
  error. It never takes for complete what aiohttp does not, but for an answer that surplus bytes follow.
- An answer that surplus bytes follow is delivered and its connection closed; aiohttp refuses it if they come in the
  same read, and else may take them for the answer to the next request.
- A body without a length that ends in a reset is complete for aiohttp, and broken off for our own client.
- A mistake after the head is ``protocol`` for our own client; for aiohttp it is ``disconnected``, or nothing is ever
  said (the caller's time-outs end that). A head without measure is ``too_large``, and for aiohttp ``protocol``.
- A flow that is paused before the answer comes is told nothing by our own client; aiohttp pauses from the first piece.
"""

import asyncio
import gzip
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.transport import CLIENTS
from tests.support.raw_server import serving
from tests.support.upstream import Noted, a_request, failed, saying

Outcome = tuple[int | None, bytes, str]

bodies = st.binary(max_size=60)
names = st.sampled_from([b"X-A", b"x-b", b"Retry-After", b"Content-Type", b"Connection"])
values = st.sampled_from([b"", b"1", b"keep-alive", b"close", b"text/plain; charset=utf-8", b"  spaced out \t"])
interims = st.lists(
    st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: a\r\n\r\n"]), max_size=2
)


def chunked(body: bytes, sizes: Sequence[int], extension: bytes, trailer: bytes) -> bytes:
    said = b""
    for size in sizes:
        piece, body = body[:size], body[size:]
        said += b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) if piece else b""
    return said + (b"%X\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n" + trailer + b"\r\n"


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """A well-formed answer."""
    body = draw(bodies)
    status = draw(st.sampled_from([200, 200, 200, 204, 304, 400, 429, 500]))
    head = b"HTTP/1.%d %d %b\r\n" % (draw(st.sampled_from([1, 1, 1, 0])), status, draw(st.sampled_from([b"OK", b""])))
    head += b"".join(b"%b: %b\r\n" % field for field in draw(st.lists(st.tuples(names, values), max_size=4)))
    if status in (204, 304):
        return head + b"\r\n"
    if draw(st.booleans()):
        body = gzip.compress(body, mtime=0)
        head += b"Content-Encoding: gzip\r\n"
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    if framing == "length":
        return b"".join(draw(interims)) + head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    if framing == "end":
        return head + b"\r\n" + body
    sizes = draw(st.lists(st.integers(1, 20), max_size=4))
    extension, trailer = draw(st.sampled_from([b"", b";a=b"])), draw(st.sampled_from([b"", b"X-T: 1\r\n"]))
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, sizes, extension, trailer)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """An answer that was cut, or of which one byte was changed, doubled or left out."""
    said = draw(answers())
    at = draw(st.integers(0, len(said) - 1))
    byte = draw(st.sampled_from([b"\0", b"a", b"9", b";", b"\x80", b"-"]))
    how = draw(st.sampled_from(["cut", "change", "double", "drop", "insert"]))
    mangles = {
        "cut": said[:at],
        "change": said[:at] + byte + said[at + 1 :],
        "double": said[: at + 1] + said[at:],
        "drop": said[:at] + said[at + 1 :],
        "insert": said[:at] + byte + said[at:],
    }
    return mangles[how]


splits = st.lists(st.integers(0, 400), max_size=4)


def pieces_of(said: bytes, cuts: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(said)), len(said)]
    return [said[start:end] for start, end in pairwise(edges)]


async def outcome(client: str, pieces: Sequence[bytes]) -> Outcome:
    transport = CLIENTS[client](max_connections=1, on_failure=failed)
    async with serving(saying(*pieces)) as address:
        noted = Noted()
        transport.send(a_request(address), noted)
        with suppress(TimeoutError):
            await asyncio.wait_for(noted.over.wait(), 5 if client == "own" else 0.5)
    await transport.aclose()
    return noted.outcome if noted.over.is_set() else (None, b"", "never")


async def both(said: bytes, cuts: Sequence[int]) -> tuple[Outcome, Outcome]:
    pieces = pieces_of(said, cuts)
    return await outcome("own", pieces), await outcome("aiohttp", pieces)


async def complete_before_surplus(said: bytes, own: Outcome) -> bool:
    """Whether less than was said is the same answer for aiohttp too."""
    for end in range(len(said) - 1, 0, -1):
        if await outcome("aiohttp", [said[:end]]) == own:
            return True
    return False


@settings(max_examples=150, deadline=None)
@given(answers(), splits)
def test_well_formed_answers_lead_to_the_same(said: bytes, cuts: Sequence[int]) -> None:
    own, other = asyncio.run(both(said, cuts))
    assert own == other
    assert own[2] == "end"


@settings(max_examples=300, deadline=None)
@given(mangled(), splits)
def test_mangled_answers_are_never_complete_for_our_own_client_alone(said: bytes, cuts: Sequence[int]) -> None:
    own, other = asyncio.run(both(said, cuts))
    if own[2] == "end":
        assert other == own or asyncio.run(complete_before_surplus(said, own))
    elif other[2] == "end":
        assert own[2] == "protocol"
    else:
        assert own[2] in ("protocol", "disconnected", "too_large")
        assert own[0] in (other[0], None) or other[0] is None
        assert own[1].startswith(other[1]) or other[1].startswith(own[1])
