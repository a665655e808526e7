"""``/admin/metrics`` and ``/admin/events``: what they answer, and what they refuse."""

import re
from pathlib import Path

import httpx2
import pytest

from llm_service.services import KINDS
from llm_service.services.events import MOST_KEPT, MOST_LISTENERS, MOST_REQUESTS_PER_S
from llm_service.services.metrics_frame import SERIES, MetricsSnapshot
from tests.support.control import ADMIN_KEY, Parts, client_of, parts_of
from tests.unit.api.test_openapi import document, schema


@pytest.fixture
def parts() -> Parts:
    return parts_of()


@pytest.fixture
def client(parts: Parts) -> httpx2.AsyncClient:
    """The admin, from anywhere."""
    client = client_of(parts, keyless=False)
    client.headers["authorization"] = f"Bearer {ADMIN_KEY}"
    return client


async def test_a_series_is_as_described(client: httpx2.AsyncClient) -> None:
    for query in ("", "?window_s=60&step_s=1", "?window_s=3600", "?step_s=7.5"):
        series = (await client.get(f"/admin/metrics{query}")).json()
        schema("MetricsSeries").validate(series)
        assert tuple(series["series"]) == SERIES
        assert {len(figures) for figures in series["series"].values()} == {len(series["at"])}


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("window_s=0", "window_s"),
        ("window_s=3601", "window_s"),
        ("window_s=1e2", "window_s"),
        ("window_s=nan", "window_s"),
        ("step_s=-1", "step_s"),
        ("step_s=", "step_s"),
        ("step=1", "step"),
    ],
)
async def test_a_series_that_makes_no_sense_is_refused(client: httpx2.AsyncClient, query: str, param: str) -> None:
    answer = await client.get(f"/admin/metrics?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_who_asks_for_more_than_is_kept_is_told_where_to_ask(client: httpx2.AsyncClient) -> None:
    for window_s in ("3600.5", "21600", "86400"):
        message = (await client.get(f"/admin/metrics?window_s={window_s}")).json()["error"]["message"]
        assert "from 1 to 3600" in message
        assert "/admin/usage/summary?by=hour" in message
    unread = (await client.get("/admin/metrics?window_s=soon")).json()["error"]["message"]
    assert "usage" not in unread


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("kinds=requests", "kinds"),
        ("kinds=", "kinds"),
        ("kinds=request&kinds=alert", "kinds"),
        ("interval_s=0.5", "interval_s"),
        ("interval_s=61", "interval_s"),
        ("since=1", "since"),
    ],
)
async def test_events_that_there_are_not_are_refused(client: httpx2.AsyncClient, query: str, param: str) -> None:
    answer = await client.get(f"/admin/events?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_events_of_settings_that_are_over_end_at_once(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/admin/events")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content == b"retry: 2000\n\n"


async def test_head_tells_what_would_come(client: httpx2.AsyncClient) -> None:
    answer = await client.head("/admin/events")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_the_kinds_that_are_taken_are_described() -> None:
    (kinds,) = [one for one in document()["paths"]["/admin/events"]["get"]["parameters"] if one["name"] == "kinds"]
    for kind in KINDS:
        assert f"`{kind}`" in kinds["description"] or kind in kinds["description"]
        assert re.fullmatch(kinds["schema"]["pattern"], f"{kind},{KINDS[0]}")
    assert not re.fullmatch(kinds["schema"]["pattern"], "other")


def test_the_guide_tells_of_every_kind_and_every_figure() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
    kinds = set(re.findall(r"^\| `(\w+)` \| ", guide.partition("## Figures")[0], re.MULTILINE))
    assert kinds == set(KINDS)
    figures = set(re.findall(r"`(\w+)`", guide.partition("## Figures")[2]))
    assert {*SERIES, *MetricsSnapshot.__dataclass_fields__} - {"at"} <= figures
    for number in (MOST_KEPT, MOST_LISTENERS, MOST_REQUESTS_PER_S):
        assert f" {number} " in guide
