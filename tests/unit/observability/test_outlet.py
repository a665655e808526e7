"""Logs whose stream is full, or has lost its reader."""

import io
import os
from collections.abc import Iterator
from typing import Literal

import pytest

from llm_service.domain import Outcome
from llm_service.observability import ObservabilityOptions, RequestFinished, build_access_log, build_log
from tests.support.clock import ManualClock

FACT = RequestFinished(
    request_id="req_1",
    stream_id=None,
    surface="rest",
    key_id="local",
    model="p/m",
    provider="p",
    upstream_model="m",
    stream=False,
    first_content_ms=1.0,
    duration_ms=2.0,
    outcome=Outcome(status="ok"),
)


@pytest.fixture
def unread() -> Iterator[io.TextIOWrapper]:
    """A stream whose reader has gone: every write is refused."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as raw:
        yield io.TextIOWrapper(raw, write_through=True)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_log_that_nobody_reads_fails_nothing(log_format: Literal["json", "text"], unread: io.TextIOWrapper) -> None:
    options, clock = ObservabilityOptions(log_format=log_format), ManualClock()
    log = build_log(options, clock=clock, stream=unread)
    log.error("something", exc_info=ValueError("x"))
    access_log = build_access_log(options, log=log, clock=clock, stream=unread)
    access_log.request_finished(FACT)
    access_log.close()


def test_a_closed_stream_fails_nothing() -> None:
    stream = io.TextIOWrapper(io.BytesIO())
    log = build_log(ObservabilityOptions(log_format="json"), clock=ManualClock(), stream=stream)
    stream.close()
    log.info("something")
