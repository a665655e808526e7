"""Which lines of the service an input reaches first: by the interpreter's trace function, on every Python."""

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import llm_service

_ROOT = str(Path(llm_service.__file__).parent)


class Coverage:
    """Counts lines that no call before has run. A function of which all lines have run is traced no more."""

    def __init__(self) -> None:
        self.lines = 0
        self._left = dict[CodeType, set[int]]()

    def run(self, work: Any, data: bytes) -> bool:
        """Run ``work(data)``; whether it came to new lines."""
        before, former = self.lines, sys.gettrace()
        sys.settrace(self._enter)
        try:
            work(data)
        finally:
            sys.settrace(former)
        return self.lines > before

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        left = self._left.get(frame.f_code)
        if left is None:
            left = self._left[frame.f_code] = _lines_of(frame.f_code)
        return self._go_on if left else None

    def _go_on(self, frame: FrameType, event: str, argument: object) -> Any:
        left = self._left[frame.f_code]
        if event == "line" and frame.f_lineno in left:
            left.discard(frame.f_lineno)
            self.lines += 1
        return self._go_on if left else None


def _lines_of(code: CodeType) -> set[int]:
    if not code.co_filename.startswith(_ROOT):
        return set()
    return {line for _, _, line in code.co_lines() if line is not None}
