"""What a protocol does with its transport, noted."""

import asyncio
from typing import Any


class Wire(asyncio.Transport):
    """A transport that notes what becomes of it."""

    def __init__(self, said: list[Any] | None = None) -> None:
        super().__init__()
        self.said: list[Any] = [] if said is None else said
        self.closing = False

    def write(self, data: Any) -> None:
        self.said.append(data)

    def writelines(self, list_of_data: Any) -> None:
        self.said.extend(list_of_data)

    def write_eof(self) -> None:
        self.said.append("eof")

    def close(self) -> None:
        self.closing = True
        self.said.append("closed")

    def abort(self) -> None:
        self.closing = True
        self.said.append("aborted")

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 7

    def pause_reading(self) -> None:
        self.said.append("paused")

    def resume_reading(self) -> None:
        self.said.append("resumed")
