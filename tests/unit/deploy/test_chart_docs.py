"""docs/deploy/kubernetes.md: what it has people type is rendered, and what it says of figures is so."""

import re
from functools import reduce
from typing import Any

import pytest
from ruamel.yaml import YAML

from llm_service.storage.open import CONNECTIONS
from tests.support.chart import CHART, Rendered, has_helm, rendered
from tests.support.deploy import CHECKOUT, DEPLOY, yaml

PAGE = (CHECKOUT / "docs" / "deploy" / "kubernetes.md").read_text(encoding="utf-8")
VALUES = yaml(CHART / "values.yaml")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def read(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def typed() -> list[dict[str, Any]]:
    """Values: those of the first installation, those for callers who rely on it, and these with an autoscaler."""
    (first,) = re.findall(r"--values - <<'END'\n(.*?)END\n", "".join(blocks("sh")), re.DOTALL)
    others = [read(text) for text in blocks("yaml")]
    relied_on, scaled = (one for one in others if one.keys() <= VALUES.keys())
    return [read(first), relied_on, relied_on | scaled]


@pytest.fixture(scope="module")
def charts() -> list[Rendered]:
    return rendered(typed())


@has_helm
def test_the_values_of_the_page_render(charts: list[Rendered]) -> None:
    assert [chart.refused for chart in charts] == ["", "", ""]
    assert charts[2].all("HorizontalPodAutoscaler")


@has_helm
def test_the_names_of_the_page_are_those_of_the_chart(charts: list[Rendered]) -> None:
    made = {thing["metadata"]["name"] for thing in charts[1].things}
    assert {"gateway", "gateway-operators"} <= made
    named = set(re.findall(r"(?: service|statefulset)/([a-z-]+)", PAGE))
    assert named <= made
    (claim,) = charts[1].all("StatefulSet")[0]["spec"]["volumeClaimTemplates"]
    assert re.findall(r"delete pvc (\S+)", PAGE) == [f"{claim['metadata']['name']}-gateway-2"]
    (job,) = rendered([typed()[1] | {"ship": {"ordinals": [2]}}])[0].all("Job")
    assert f"job/{job['metadata']['name']} " in PAGE


def test_every_value_that_is_named_is_there() -> None:
    groups = "|".join(name for name, value in VALUES.items() if isinstance(value, dict) and name != "config")
    for path in set(re.findall(rf"`((?:{groups})(?:\.[A-Za-z]+)+)`", PAGE)) - {"resources.requests.cpu"}:
        reduce(lambda found, step: found[step], path.split("."), VALUES)
    for path in re.findall(r"--set '([\w.]+)=", PAGE):
        reduce(lambda found, step: found[step], path.split("."), VALUES)


def test_figures_are_those_of_the_values_and_of_the_code() -> None:
    for path in ("shutdown.endpointsSeconds", "shutdown.graceSeconds", "shutdown.shippingSeconds", "startupSeconds"):
        value = reduce(lambda found, step: found[step], path.split("."), VALUES)
        assert f"`{path}` ({value})" in PAGE, path
    assert f"| PostgreSQL | {CONNECTIONS} connections |" in PAGE
    assert f"| `resources.requests.memory` | {VALUES['resources']['requests']['memory']} |" in PAGE
    assert f"| `resources.limits.memory` | {VALUES['resources']['limits']['memory']} |" in PAGE
    valkey = (DEPLOY / "compose" / "valkey.conf").read_text(encoding="utf-8")
    for line in ("appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"):
        assert f"`{line}`" in PAGE
        assert line in valkey


def test_every_file_that_the_page_names_is_there() -> None:
    named = {*re.findall(r"`(tests/[\w./]+)`", PAGE), *re.findall(r"`(deploy/[\w./-]+)`", PAGE)}
    assert named
    assert [name for name in named if not (CHECKOUT / name).exists()] == []
