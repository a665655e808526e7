"""Shapes that two readers of HTTP may understand differently: what each client makes of them.

Our own client takes what can be read in one way alone; where aiohttp is more lenient a table says so. No shape is
complete for our own client and refused by aiohttp, but for answers that have no body (204): what follows their head is
surplus, and ends the connection.
"""

import pytest

from llm_service.transport import Transport
from tests.support.upstream import OK, saying, told

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LENGTH = b"Content-Length: 2\r\n\r\nok"
ONE_CHUNK = b"2\r\nok\r\n0\r\n\r\n"


def coded(coding: bytes) -> bytes:
    return OK + b"Transfer-Encoding:" + coding + b"\r\n\r\n" + ONE_CHUNK


TAKEN = {
    "a length with zeros before it": OK + b"Content-Length: 002\r\n\r\nok",
    "a length with a tab behind it": OK + b"Content-Length: 2\t\r\n\r\nok",
    "a name with an underscore is another name": OK + b"Content_Length: 9\r\n" + LENGTH,
    "a coding in capitals": OK + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n" + ONE_CHUNK,
    "an extension with a semicolon in quotes": CHUNKED + b'2;a="x;y"\r\nok\r\n0\r\n\r\n',
    "a last chunk of many zeros": CHUNKED + b"2\r\nok\r\n000000\r\n\r\n",
    "a coding in the trailer means nothing": CHUNKED + b"2\r\nok\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + OK + LENGTH,
    "an interim answer with a coding": b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n" + OK + LENGTH,
    "an answer behind the answer": OK + LENGTH + OK + b"Content-Length: 4\r\n\r\nevil",
    "a blank line before it": b"\r\n" + OK + LENGTH,
    "no reason": b"HTTP/1.1 200\r\n" + LENGTH,
    "a value in no known coding": OK + b"X: \xff\xfe\r\n" + LENGTH,
    "an offer of another protocol": OK + b"Connection: upgrade\r\nUpgrade: h2c\r\n" + LENGTH,
}
NO_BODY = {
    "a length where there is no body": b"HTTP/1.1 204 No Content\r\n" + LENGTH,
    "chunks where there is no body": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + ONE_CHUNK,
}
REFUSED = {
    "two equal lengths": OK + b"Content-Length: 2\r\n" + LENGTH,
    "equal lengths in a list": OK + b"Content-Length: 2, 2\r\n\r\nok",
    "a length with a NUL": OK + b"Content-Length: 2\0\r\n\r\nok",
    "a length in hexadecimal": OK + b"Content-Length: 0x2\r\n\r\nok",
    "a length with an underscore": OK + b"Content-Length: 1_0\r\n\r\n0123456789",
    "a length with a blank in it": OK + b"Content-Length: 1 0\r\n\r\n0123456789",
    "an empty length": OK + b"Content-Length:\r\n\r\nok",
    "a length in other digits": OK + "Content-Length: \u0662\r\n\r\nok".encode(),
    "a name with a NUL": OK + b"X\0: a\r\n" + LENGTH,
    "a name with an accent": OK + b"X\xe9: a\r\n" + LENGTH,
    "a lone CR in a value": OK + b"X: a\rb\r\n" + LENGTH,
    "a line that a lone CR ends": OK + b"X: a\rContent-Length: 9\r\n" + LENGTH,
    "a coding and a length": OK + b"Transfer-Encoding: chunked\r\n" + LENGTH,
    "an interim answer with a body": b"HTTP/1.1 100 Continue\r\n" + LENGTH + OK + LENGTH,
    "a blank before it": b" " + OK + LENGTH,
    "a version that there is not": b"HTTP/1.2 200 OK\r\n" + LENGTH,
    "a version without its point": b"HTTP/11 200 OK\r\n" + LENGTH,
    "a version in small letters": b"http/1.1 200 OK\r\n" + LENGTH,
    "another protocol": b"ICY 200 OK\r\n" + LENGTH,
    "two blanks before the status": b"HTTP/1.1  200 OK\r\n" + LENGTH,
    "a request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "two content codings": OK + b"Content-Encoding: gzip, gzip\r\n" + LENGTH,
    "a chunk's size after a blank": CHUNKED + b" 2\r\nok\r\n0\r\n\r\n",
    "a chunk's size with a sign": CHUNKED + b"+2\r\nok\r\n0\r\n\r\n",
    "a chunk's size with an underscore": CHUNKED + b"0_2\r\nok\r\n0\r\n\r\n",
    "a chunk without a size": CHUNKED + b"\r\nok\r\n0\r\n\r\n",
    "a chunk's size that LF ends": CHUNKED + b"2\nok\r\n0\r\n\r\n",
    "a chunk's size that CR ends": CHUNKED + b"2\rok\r\n0\r\n\r\n",
    "an extension that LF ends": CHUNKED + b"2;a\nb\r\nok\r\n0\r\n\r\n",
    "an extension that CR ends": CHUNKED + b"2;a\rb\r\nok\r\n0\r\n\r\n",
    "an extension with a NUL": CHUNKED + b"2;a\0\r\nok\r\n0\r\n\r\n",
    "a last chunk that LF ends": CHUNKED + b"2\r\nok\r\n0\n\r\n",
    "a length in the trailer": CHUNKED + b"2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n",
    "a trailer without a colon": CHUNKED + b"2\r\nok\r\n0\r\nnothing\r\n\r\n",
}
REFUSED_BY_OUR_OWN = {
    "a blank before the colon": OK + b"Content-Length : 2\r\n\r\nok",
    "a folded line": OK + b"X: a\r\n b\r\n" + LENGTH,
    "a folded length": OK + b"Content-Length:\r\n 2\r\n\r\nok",
    "a folded coding": coded(b"\r\n chunked"),
    "a first line that is folded": OK + b" X: a\r\n" + LENGTH,
    "a lone LF in the head": OK + b"X: a\n" + LENGTH,
    "a lone LF at the head's end": OK + b"Content-Length: 2\r\n\nok",
    "a status line that LF ends": b"HTTP/1.1 200 OK\n" + LENGTH,
    "a coding behind a vertical tab": coded(b" \x0bchunked"),
    "another coding": coded(b" xchunked"),
    "a coding that is not the last": coded(b" chunked, identity"),
    "a coding twice": coded(b" chunked, chunked"),
    "a coding in quotes": coded(b' "chunked"'),
    "an empty coding": coded(b""),
    "a coding with a parameter": coded(b" chunked;q=1"),
    "a control character in a value": OK + b"X: \x01\r\n" + LENGTH,
    "a blank behind a chunk's size": CHUNKED + b"2 \r\nok\r\n0\r\n\r\n",
    "a chunk that LF ends": CHUNKED + b"2\r\nok\n0\r\n\r\n",
    "a folded trailer": CHUNKED + b"2\r\nok\r\n0\r\nX: a\r\n b\r\n\r\n",
    "a NUL in the trailer": CHUNKED + b"2\r\nok\r\n0\r\nX: a\0\r\n\r\n",
}


@pytest.mark.parametrize("name", TAKEN)
async def test_what_can_be_read_in_one_way_is_taken(transport: Transport, name: str) -> None:
    assert (await told(transport, saying(TAKEN[name]))).outcome == (200, b"ok", "end")


@pytest.mark.parametrize("name", NO_BODY)
async def test_an_answer_without_a_body_has_none(transport: Transport, client: str, name: str) -> None:
    outcome = (await told(transport, saying(NO_BODY[name]))).outcome
    assert outcome == ((204, b"", "end") if client == "own" else (None, b"", "protocol"))


@pytest.mark.parametrize("name", REFUSED)
async def test_what_can_be_read_in_two_ways_is_refused(transport: Transport, name: str) -> None:
    noted = await told(transport, saying(REFUSED[name]))
    assert noted.outcome[2] == "protocol"
    assert b"ok".startswith(noted.data)


@pytest.mark.parametrize("name", REFUSED_BY_OUR_OWN)
async def test_what_aiohttp_puts_up_with_our_own_refuses(transport: Transport, client: str, name: str) -> None:
    noted = await told(transport, saying(REFUSED_BY_OUR_OWN[name]))
    assert noted.outcome[2] == ("protocol" if client == "own" else "end")
    assert client != "own" or b"ok".startswith(noted.data)
