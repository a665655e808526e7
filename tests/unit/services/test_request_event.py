"""docs/events.md names what the event of a request tells."""

import re
from pathlib import Path

from llm_service.domain import Outcome, UpstreamError
from llm_service.observability import Redaction
from llm_service.services.request_event import request_data
from tests.support.finished import finished

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")


def test_the_guide_names_each_fact() -> None:
    (row,) = re.findall(r"^\| `request` \| .*? \| (.*) \|$", PAGE, re.MULTILINE)
    failed = finished(stream_id="str_1", outcome=Outcome(status="error", error=UpstreamError("down", provider="p")))
    assert {*request_data(failed, Redaction()), "verdicts"} == set(re.findall(r"`(\w+)`", row))
