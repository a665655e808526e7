"""A client that shows the wire as it is: bytes in, bytes out, and how the connection ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from tests.support.waiting import loop_turns

LIMIT_S = 10
OPENROUTER = "/openrouter/api/v1/chat/completions"
DEEPSEEK = "/deepseek/chat/completions"
PLAIN = "/openai/v1/chat/completions"
CHATS = (OPENROUTER, DEEPSEEK, PLAIN)

Ending = Literal["kept", "closed", "reset", "enough"]


@dataclass(frozen=True)
class Received:
    """An answer as it came; a chunked body is put together in `body`, `chunks` are its pieces."""

    head: bytes
    rest: bytes
    ending: Ending

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}

    @property
    def is_chunked(self) -> bool:
        return self.headers.get("transfer-encoding") == "chunked"

    @property
    def chunks(self) -> list[bytes]:
        return [chunk for chunk, _ in _chunks(self.rest)]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks) if self.is_chunked else self.rest

    @property
    def is_complete(self) -> bool:
        """Whether HTTP's own framing was kept to the end."""
        if self.is_chunked:
            return self.rest.endswith(b"0\r\n\r\n")
        return len(self.rest) == int(self.headers.get("content-length", len(self.rest)))

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def events(self) -> list[bytes]:
        """The data of LF-framed events, comments left out."""
        return [block[6:] for block in self.body.split(b"\n\n") if block.startswith(b"data: ")]

    @property
    def objects(self) -> list[Any]:
        """The events as JSON, without [DONE]."""
        return [orjson.loads(event) for event in self.events if event != b"[DONE]"]

    @property
    def text(self) -> str:
        """The streamed content of the first choice."""
        deltas = [chunk["choices"][0]["delta"] for chunk in self.objects if chunk.get("choices")]
        return "".join(delta.get("content") or "" for delta in deltas)


def post(path: str, body: Any, *, key: str | None = "sk-test-1234", headers: Mapping[str, str] | None = None) -> bytes:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return request("POST", path, data=data, key=key, headers=headers)


def get(path: str, *, key: str | None = "sk-test-1234") -> bytes:
    return request("GET", path, key=key)


def request(
    method: str,
    path: str,
    *,
    data: bytes = b"",
    key: str | None = "sk-test-1234",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: sandbox", f"content-length: {len(data)}"]
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def chat(model: str, prompt: str = "Tell me about rivers.", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}


class Client:
    """One connection, used for one exchange after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def exchange(self, data: bytes, *, at_most: int = 1 << 62) -> Received:
        """Send, and read the answer to its end, or up to so many bytes."""
        self.writer.write(data)
        async with asyncio.timeout(LIMIT_S):
            return await self._read(at_most)

    async def ended(self) -> Ending:
        """Read on until the other side closes."""
        async with asyncio.timeout(LIMIT_S):
            try:
                await self.reader.read()
            except ConnectionResetError:
                return "reset"
        return "closed"

    async def _read(self, at_most: int) -> Received:
        got, ending = b"", "kept"
        while not _is_whole(got):
            if len(got) >= at_most:
                ending = "enough"
                break
            try:
                data = await self.reader.read(65536)
            except ConnectionResetError:
                ending = "reset"
                break
            if not data:
                ending = "closed"
                break
            got += data
        head, _, rest = got.partition(b"\r\n\r\n")
        return Received(head, rest, ending)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[Client]:
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 22)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(address: str, data: bytes, *, at_most: int = 1 << 62) -> Received:
    """One answer on a connection of its own."""
    async with connected(address) as client:
        return await client.exchange(data, at_most=at_most)


async def eventually(is_true: Callable[[], bool]) -> None:
    """Give the event loop its turns until something has come true."""
    async with asyncio.timeout(LIMIT_S):
        while not is_true():
            await loop_turns()


def _is_whole(got: bytes) -> bool:
    head, found, rest = got.partition(b"\r\n\r\n")
    if not found:
        return False
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        return rest.endswith(b"0\r\n\r\n") and any(is_last for _, is_last in _chunks(rest))
    if b"content-length: " in lowered:
        return len(rest) >= int(lowered.split(b"content-length: ")[1].split(b"\r\n")[0])
    return False


def _chunks(rest: bytes) -> list[tuple[bytes, bool]]:
    found: list[tuple[bytes, bool]] = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            break
        if length == 0:
            found.append((b"", True))
            break
        found.append((rest[:length], False))
        rest = rest[length + 2 :]
    return found
