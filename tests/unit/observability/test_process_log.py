"""The log of a process: the same facts for people and for machines, and nobody else's lines in between."""

import io
import logging
from asyncio import CancelledError

import orjson
import pytest

from llm_service.observability import LibraryLog, ObservabilityOptions, build_log
from tests.support.clock import ManualClock
from tests.support.service import LogLines


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def defect(prompt: str) -> RuntimeError:
    """An exception that passed a function which knows a prompt."""
    try:
        raise RuntimeError(f"{len(prompt)} characters are too many")
    except RuntimeError as error:
        return error


@pytest.mark.parametrize("kind", [Terminal, io.TextIOWrapper])
def test_a_defect_shows_where_it_happened_and_no_values_of_variables(kind: type[io.TextIOWrapper]) -> None:
    stream = kind(io.BytesIO(), write_through=True)
    log = build_log(ObservabilityOptions(), clock=ManualClock(), stream=stream)
    prompt = "the canary prompt"
    log.error("defect", exc_info=defect(prompt))
    said = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert "in defect" in said
    assert "17 characters are too many" in said
    assert prompt not in said


@pytest.mark.parametrize("prompt", ["the canary prompt", "the canary\nprompt of two lines"])
def test_nor_the_words_of_exceptions_that_repeat_a_value(prompt: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    first, second = ValueError(f"no number: {prompt!r}"), UnicodeError(prompt)
    third = KeyError(prompt)
    second.__context__, third.__cause__ = first, second
    build_log(ObservabilityOptions(), clock=ManualClock(), stream=stream).error(
        "defect", exc_info=ExceptionGroup("of several", [third])
    )
    said = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert all(f"{one}: ***" in said for one in ("ValueError", "UnicodeError", "KeyError"))
    assert "canary" not in said
    assert "of several" in said


def test_values_cannot_forge_a_line_on_a_terminal() -> None:
    stream = Terminal(io.BytesIO(), write_through=True)
    build_log(ObservabilityOptions(), clock=ManualClock(), stream=stream).info(
        "request", model="x\n2026 forged \x1b[2J"
    )
    said = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert said.count("\n") == 1
    assert "\x1b[2J" not in said


@pytest.mark.parametrize("command", ["\x1b[2J", "\x9b2J", "\x1b]0;title\x07", "\u202e", "\r"])
def test_a_terminal_gets_no_commands_that_others_chose(command: str) -> None:
    stream = Terminal(io.BytesIO(), write_through=True)
    log = build_log(ObservabilityOptions(), clock=ManualClock(), stream=stream)
    log.info("request", model=f"x{command}y")
    assert command not in stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


def test_a_library_that_logs_in_a_wrong_way_does_not_fail_by_it() -> None:
    lines = LogLines()
    LibraryLog(lines).handle(record(logging.WARNING, msg="%d pieces", args=("many",)))
    assert [line["message"] for line in lines.lines] == ["%d pieces ('many',)"]


def test_what_libraries_say_becomes_a_line_of_ours() -> None:
    lines, failure = LogLines(), OSError("gone")
    handler = LibraryLog(lines)
    handler.handle(record(logging.WARNING, msg="%s is %s", args=("this", "odd")))
    handler.handle(record(logging.ERROR, msg="failed\n", exc_info=(OSError, failure, None)))
    said_by = {"event": "library", "library": "uvicorn.error"}
    assert lines.lines == [
        {**said_by, "level": "warning", "message": "this is odd"},
        {**said_by, "level": "error", "message": "failed", "exc_info": (OSError, failure, None)},
    ]


def test_a_cancellation_needs_no_traceback() -> None:
    lines = LogLines()
    LibraryLog(lines).handle(record(logging.ERROR, msg="ended", exc_info=(CancelledError, CancelledError(), None)))
    assert [line.keys() & {"exc_info", "message"} for line in lines.lines] == [{"message"}]


def record(level: int, **facts: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "uvicorn.error", "levelno": level, **facts})


def test_a_pipe_gets_one_json_object_a_line() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    log = build_log(ObservabilityOptions(log_level="warning"), clock=ManualClock(), stream=stream)
    log.info("unimportant")
    log.warning("odd", text="two\nlines")
    line = orjson.loads(stream.buffer.getvalue())  # type: ignore[attr-defined]
    assert (line["event"], line["level"], line["text"]) == ("odd", "warning", "two\nlines")
    assert line["at"].startswith("2026-")
