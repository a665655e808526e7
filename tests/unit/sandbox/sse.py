"""Event streams read by the book, on bytes: the measure for every framing."""

import re
from dataclasses import dataclass, field

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass
class Event:
    data: str
    name: str = ""
    id: str = ""


@dataclass
class Stream:
    events: list[Event] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


def parse(body: bytes) -> Stream:
    """All events and comments of a complete stream."""
    stream, data, name, last_id = Stream(), list[str](), "", ""
    for raw in _LINE_END.split(body.removeprefix(b"\xef\xbb\xbf")):
        line = raw.decode()
        if not line:
            if data:
                stream.events.append(Event("\n".join(data), name, last_id))
            data, name = [], ""
        elif line.startswith(":"):
            stream.comments.append(line[1:].strip())
        else:
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if key == "data":
                data.append(value)
            elif key == "event":
                name = value
            elif key == "id":
                last_id = value
    return stream
