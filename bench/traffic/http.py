"""Just as much HTTP/1.1 as load and upstream need of each other: heads, and bodies of a length or in chunks."""

from typing import Final

HEAD_END: Final = b"\r\n\r\n"


class Message:
    """One message as its bytes come: its head, then its body, without the framing."""

    __slots__ = ("_buffer", "_left", "body", "complete", "head", "keep_alive")

    def __init__(self) -> None:
        self._buffer = b""
        self._left: int | None = (
            None  # bytes of the body that are still to come; None: framed in chunks, or no head yet
        )
        self.head = b""
        self.body = bytearray()
        self.complete = False
        self.keep_alive = True

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes, and gives back what it does not need: the beginning of the next message."""
        data = self._buffer + data if self._buffer else data
        self._buffer = b""
        if not self.head:
            end = data.find(HEAD_END)
            if end < 0:
                self._buffer = data
                return b""
            self.head, data = data[: end + 2], data[end + 4 :]
            self._read_head()
        if self._left is None:
            return self._feed_chunks(data)
        taken = data[: self._left]
        self.body += taken
        self._left -= len(taken)
        self.complete = self._left == 0
        return data[len(taken) :]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.head[9:12])

    @property
    def path(self) -> bytes:
        """Of a request."""
        return self.head.split(b" ", 2)[1].partition(b"?")[0]

    def _read_head(self) -> None:
        head = self.head.lower()
        self.keep_alive = b"\r\nconnection: close\r\n" not in head
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            return
        at = head.find(b"\r\ncontent-length:")
        self._left = 0 if at < 0 else int(head[at + 17 : head.index(b"\r\n", at + 17)])

    def _feed_chunks(self, data: bytes) -> bytes:
        at = 0
        while True:
            line = data.find(b"\r\n", at)
            if line < 0:
                break
            size = int(data[at:line].partition(b";")[0], 16)
            if len(data) < line + size + 4:
                break
            self.body += data[line + 2 : line + 2 + size]
            at = line + size + 4
            if size == 0:
                self.complete = True
                return data[at:]
        self._buffer = data[at:]
        return b""
