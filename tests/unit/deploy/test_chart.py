"""The chart: valid for every version that it is for, of one version with the service, and described."""

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llm_service import __version__
from tests.support.chart import CHART, Rendered, cases, has_helm
from tests.support.chart_pods import IMAGE
from tests.support.deploy import yaml

OLDEST, NEWEST = "1.31", "1.37"
MONITORING = ("ServiceMonitor", "PrometheusRule")
MONITORING_SCHEMA = Path(__file__).with_name("monitoring.schema.json")

pytestmark = has_helm


@cases
def test_helm_finds_nothing_to_warn_of(chart: Rendered) -> None:
    assert [one for one in chart.lint if one["error"] != "icon is recommended"] == []


@cases
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_is_valid_to_the_letter(chart: Rendered, version: str) -> None:
    import kubernetes_validate

    for thing in chart.things:
        if thing["kind"] not in MONITORING:
            kubernetes_validate.validate(thing, version, strict=True)


def test_the_versions_that_are_judged_are_the_ones_that_the_chart_is_for() -> None:
    import kubernetes_validate

    assert yaml(CHART / "Chart.yaml")["kubeVersion"] == f">={OLDEST}.0-0"
    assert kubernetes_validate.latest_version().startswith(NEWEST)


def test_a_field_that_there_is_not_is_found(production: Rendered) -> None:
    import kubernetes_validate

    changed = json.loads(json.dumps(production.one("StatefulSet")))
    changed["spec"]["template"]["spec"]["containers"][0]["readonlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="readonlyRootFilesystem"):
        kubernetes_validate.validate(changed, NEWEST, strict=True)


def test_what_the_prometheus_operator_is_given_has_its_form(production: Rendered) -> None:
    judge = jsonschema.Draft202012Validator(json.loads(MONITORING_SCHEMA.read_text(encoding="utf-8")))
    things = production.all(*MONITORING)
    assert [thing["kind"] for thing in things] == [*MONITORING]
    for thing in things:
        judge.validate(thing)
        assert not judge.is_valid(thing | {"spec": thing["spec"] | {"endpoint": []}})


@cases
def test_no_two_objects_have_one_name_and_all_belong_to_the_release(chart: Rendered) -> None:
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in chart.things]
    assert len(set(names)) == len(names)
    for thing in chart.things:
        assert thing["metadata"]["labels"]["app.kubernetes.io/instance"] == "demo"


# -- the chart itself


def test_its_versions_are_those_of_the_service() -> None:
    chart = yaml(CHART / "Chart.yaml")
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__), "scripts/release sets them all"
    assert chart["description"] == IMAGE.pairs("LABEL")["org.opencontainers.image.description"]


def test_every_value_says_what_it_is_for() -> None:
    """At least those that stand together have a comment."""
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    groups = [list(group) for blank, group in groupby(lines, key=lambda line: not line.strip()) if not blank]
    silent = [group[0] for group in groups if not any("#" in line for line in group)]
    assert silent == []


def test_the_schema_names_all_values_and_no_others() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml(CHART / "values.yaml")

    def compare(shape: Any, found: Any, path: str) -> list[str]:
        if "properties" not in shape:
            return []
        assert shape["additionalProperties"] is False, path
        wrong = [f"{path}.{name}" for name in shape["properties"].keys() ^ found.keys()]
        return wrong + [
            one
            for name in shape["properties"].keys() & found.keys()
            for one in compare(shape["properties"][name], found[name], f"{path}.{name}")
        ]

    assert compare(schema, values, "") == [".global"]
    jsonschema.Draft7Validator(schema).validate(json.loads(json.dumps(values)))


def test_people_are_told_how_to_go_on(production: Rendered, charts: dict[str, Rendered]) -> None:
    assert "https://llm.example.com/v1" in production.notes
    assert "custom.metrics.k8s.io" in production.notes
    assert "Keys and records are in SQLite" not in production.notes
    assert "Keys and records are in SQLite" in charts["minimal"].notes
    assert re.findall(r"\{\{|<no value>|%!", "".join(one.notes for one in charts.values())) == []
