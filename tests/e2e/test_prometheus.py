"""A real Prometheus scrapes the service and evaluates the shipped rules; a real Alertmanager delivers what fires."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.api import AuthOptions
from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.observability.metrics import catalog
from llm_service.sandbox import Sandbox
from tests.support.deploy import (
    DASHBOARDS,
    DEPLOY,
    PROMETHEUS,
    RULE_FILES,
    RULE_TESTS,
    as_prometheus_sees_it,
    dashboard,
    expressions_of,
)
from tests.support.prometheus import Prometheus, Receiver, alertmanager, finished, prometheus, receiving
from tests.support.promql import metric_of
from tests.support.rest import ask, chat_body
from tests.support.service import Running, running, simulated
from tests.support.waiting import until, until_answered

ADMIN = "Bearer sk-test-admin-key-of-the-scraped"
WITHIN_S = 15.0
ASKED_FOR = 3


@pytest.mark.parametrize("rules", RULE_TESTS, ids=lambda path: path.stem)
async def test_rules_fire_when_they_should_and_not_otherwise(rules: Path) -> None:
    code, said = await finished("promtool", "test", "rules", rules)
    assert code == 0, said


async def test_the_shipped_configurations_are_valid(tmp_path: Path) -> None:
    for path in (PROMETHEUS / "prometheus.yml", *RULE_FILES):
        copy = tmp_path / path.relative_to(PROMETHEUS)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "llm-service.key").write_text("sk-a-key-of-the-operator")
    code, said = await finished("promtool", "check", "config", tmp_path / "prometheus.yml")
    assert code == 0, said
    code, said = await finished("amtool", "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")
    assert code == 0, said


@dataclass(frozen=True)
class Watched:
    """A service, and who watches it."""

    service: Running
    prometheus: Prometheus
    webhook: Receiver
    key_file: Path
    key_id: str

    async def admin(self, method: str, path: str, fields: Any = None) -> Any:
        return await admin(self.service, method, path, fields)


async def admin(service: Running, method: str, path: str, fields: Any = None) -> Any:
    content = b"" if fields is None else orjson.dumps(fields)
    answer = await ask(service.address, method, f"/admin{path}", content, authorization=ADMIN)
    assert answer.status < 300, answer.body
    return answer.json() if answer.body else None


@pytest.fixture
async def watched(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Watched]:
    """A service that was asked a few times, and knows the scraper by a key of scope `read`."""
    settings = Settings(
        auth=AuthOptions(admin_key=Secret(ADMIN.removeprefix("Bearer ")), required="always"),
        providers=simulated(sandbox.address),
    )
    key_file = tmp_path / "llm-service.key"
    async with AsyncExitStack() as held:
        webhook = await held.enter_async_context(receiving())
        alerts_to = await held.enter_async_context(alertmanager(tmp_path, webhook.address))
        service = await held.enter_async_context(running(settings, sandbox=True))
        key_id, key = await new_key(service)
        key_file.write_text(key, encoding="utf-8")
        for _ in range(ASKED_FOR):
            answer = await ask(
                service.address,
                "POST",
                "/v1/chat/completions",
                chat_body("plain/sandbox/tokens-5"),
                authorization=ADMIN,
            )
            assert answer.status == 200, answer.body
        seen = await held.enter_async_context(
            prometheus(tmp_path, target=service.address, key=key_file, alerts_to=alerts_to)
        )
        yield Watched(service, seen, webhook, key_file, key_id)


async def new_key(service: Running) -> tuple[str, str]:
    """Id and secret of a key for the scraper."""
    made = await admin(service, "POST", "/keys", {"name": "prometheus", "scopes": ["read"]})
    return made["id"], made["key"]


async def test_prometheus_watches_the_service_and_tells_when_it_cannot(watched: Watched) -> None:
    """In one go: a Prometheus that has started takes five seconds to its first scrape."""
    await figures_are_read(watched)
    await panels_and_rules_are_evaluated(watched)
    await an_alert_is_delivered_and_so_is_its_end(watched)


async def figures_are_read(watched: Watched) -> None:
    seen = watched.prometheus
    await until_answered(lambda: seen.value('sum(llm_requests_total{status="ok"})'), within_s=WITHIN_S)
    assert await seen.value('sum(llm_requests_total{status="ok"})') == ASKED_FOR
    assert await seen.value("sum(llm_request_duration_seconds_count)") == ASKED_FOR
    assert await seen.value('up{job="llm-service"}') == 1

    told = await seen.api("targets/metadata", match_target='{job="llm-service"}')
    kinds = {one["metric"]: one["type"] for one in told}
    known = {name.removesuffix("_total"): metric.kind for name, metric in catalog.ALL.items()}
    assert {name.removesuffix("_total"): kind for name, kind in kinds.items()}.items() <= known.items()
    series = await seen.api(
        "label/__name__/values", **{"match[]": '{job="llm-service", __name__=~"llm_.*|process_.*"}'}
    )
    assert {metric_of(name) for name in series} <= set(catalog.ALL)
    assert len(series) > len(catalog.ALL) / 2


async def panels_and_rules_are_evaluated(watched: Watched) -> None:
    seen = watched.prometheus
    asked = {
        as_prometheus_sees_it(expression) for path in DASHBOARDS for _, expression in expressions_of(dashboard(path))
    }
    answers = await asyncio.gather(*(seen.api("query", query=expression) for expression in sorted(asked)))
    assert len(answers) > 80

    async def evaluated() -> list[Any]:
        groups = (await seen.api("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else []

    rules = await until_answered(evaluated, within_s=WITHIN_S)
    assert [rule["lastError"] for rule in rules if rule["health"] != "ok"] == []


async def an_alert_is_delivered_and_so_is_its_end(watched: Watched) -> None:
    """Whoever revokes the scraper's key hears of it; with a new one in its file all is well again."""
    webhook = watched.webhook
    await watched.admin("DELETE", f"/keys/{watched.key_id}")
    await until(lambda: webhook.of("LlmServiceTargetDown", "firing"), within_s=WITHIN_S)
    notice = webhook.of("LlmServiceTargetDown", "firing")[0]
    assert notice.path == "/critical"
    (alert,) = notice.body["alerts"]
    instance = watched.service.address.removeprefix("http://")
    assert alert["labels"]["instance"] == instance
    assert alert["annotations"]["summary"] == f"{instance} does not answer Prometheus"
    assert alert["annotations"]["runbook"] == "docs/operations/runbook.md#target-down"

    _, key = await new_key(watched.service)
    watched.key_file.write_text(key, encoding="utf-8")
    await until(lambda: webhook.of("LlmServiceTargetDown", "resolved"), within_s=WITHIN_S)
    told = {one.body["commonLabels"]["alertname"] for one in webhook.notices}
    assert told <= {"LlmServiceTargetDown", "LlmServiceTargetAbsent"}  # which there was, until the first scrape
