"""Whole bodies: what a behaviour makes of them, and the steps that send them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from llm_service.sandbox.behaviour import Behaviour
from llm_service.sandbox.events import PROSE, inside_character, invalid_utf8
from llm_service.sandbox.framing import Packer
from llm_service.sandbox.messages import Data, Head, Raw, Step, Stop, Transfer, Wait

HTML: Final = b"<!doctype html>\n<html><head><title>Sandbox</title></head>\n<body><h1>It works</h1></body></html>\n"


def broken_body(head: Head, body: bytes, behaviour: Behaviour) -> tuple[Head, bytes]:
    """Head and body as malformed as the behaviour wants them."""
    if behaviour.on("html"):
        head, body = replace(head, status=200, headers=_typed(head, "text/html; charset=utf-8")), HTML
    elif behaviour.on("not-json"):
        body = PROSE
    elif behaviour.on("truncated-json") or behaviour.on("end-after"):
        body = body[: len(body) // 2]
    elif behaviour.on("bad-utf8"):
        body = invalid_utf8(body)
    elif behaviour.on("empty"):
        body = b""
    elif (lines := behaviour.count("blank")) is not None:
        body = b"\n" * lines
    return replace(head, length=len(body)), body


def body_steps(head: Head, body: bytes, behaviour: Behaviour, *, keep_alive: Iterable[Step]) -> Iterator[Step]:
    """Head and body with their delays and breaks."""
    yield replace(head, transfer=_transfer(behaviour))
    if (delay_s := behaviour.seconds("slow-first-byte")) is not None:
        yield Wait(delay_s)
    yield from keep_alive
    half = len(body) // 2
    if (stop := _stop(behaviour)) is not None:
        yield Data(inside_character(body) if behaviour.on("cut-utf8") else body[:half])
        if behaviour.on("bad-chunking"):
            yield Raw(b"zz\r\n" + body[half:])
        yield stop
    elif behaviour.on("stall-after"):
        yield Data(body[:half])
        yield Wait(behaviour.seconds("stall-for"))
        yield Data(body[half:])
    elif behaviour.on("blank"):
        yield from _slowly(body, behaviour.seconds("pace") or 0)
    else:
        packer = Packer(behaviour)
        yield from packer.add(body)
        yield from packer.flush()


def _slowly(body: bytes, pace_s: float) -> Iterator[Step]:
    for at in range(len(body)):
        yield Data(body[at : at + 1])
        yield Wait(pace_s)


def _transfer(behaviour: Behaviour) -> Transfer:
    if behaviour.on("blank"):
        return Transfer.CLOSE
    chunked = ("split", "dribble", "keep-alive", "bad-chunking")
    return Transfer.CHUNKED if any(behaviour.on(name) for name in chunked) else Transfer.LENGTH


def _stop(behaviour: Behaviour) -> Stop | None:
    if behaviour.on("reset-after"):
        return Stop.RESET
    cuts = ("cut-after", "cut-inside", "cut-utf8", "bad-chunking")
    return Stop.CLOSE if any(behaviour.on(name) for name in cuts) else None


def _typed(head: Head, content_type: str) -> tuple[tuple[str, str], ...]:
    others = tuple((name, value) for name, value in head.headers if name != "content-type")
    return (("content-type", content_type), *others)
