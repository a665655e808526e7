"""Dashboards for Grafana: the files are what the generator makes, in Grafana's form, and ask for what there is."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from scripts.dashboards.boards import ALL
from scripts.dashboards.files import FOLDER, text

from llm_service.observability.metrics import catalog
from tests.support import promql
from tests.support.deploy import DASHBOARDS, DEPLOY, dashboard, expressions_of, recorded, rules, yaml

SCHEMA = json.loads((Path(__file__).parent / "dashboard.schema.json").read_text(encoding="utf-8"))
boards = pytest.mark.parametrize("board", [pytest.param(dashboard(path), id=path.stem) for path in DASHBOARDS])


def test_the_files_are_those_that_the_generator_makes() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == {
        f"{name}.json": text(board) for name, board in ALL.items()
    }, "run scripts/update-dashboards"


@boards
def test_a_dashboard_has_grafanas_form(board: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    errors = jsonschema.Draft202012Validator(SCHEMA).iter_errors(board)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("uid",), "a b"),
        (("panels", 1, "type"), "graph"),
        (("panels", 1, "gridPos", "w"), 25),
        (("panels", 1, "targets", 0, "expr"), ""),
        (("panels", 1, "datasource", "uid"), "PBFA97CFB590B2093"),
        (("panels", 1, "fieldConfig", "defaults", "unit"), "dollars"),
        (("templating", "list", 1, "type"), "label"),
        (("colour",), "red"),
    ],
)
def test_another_form_is_refused(place: tuple[str | int, ...], value: object) -> None:
    board = dashboard(DASHBOARDS[0])
    inner = board
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(board)


@boards
def test_panels_have_numbers_of_their_own_and_do_not_overlap(board: Any) -> None:
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@boards
def test_panels_ask_for_metrics_and_labels_that_there_are(board: Any) -> None:
    mistaken = {
        (where, found) for where, asked in expressions_of(board) for found in promql.mistakes(asked, recorded())
    }
    assert mistaken == set()


@boards
def test_choices_are_of_labels_that_there_are_and_all_are_used(board: Any) -> None:
    choices = [one for one in board["templating"]["list"] if one["type"] == "query"]
    for one in choices:
        found = re.fullmatch(r"label_values\((\w+)(?:\{[^}]*\})?, (\w+)\)", one["definition"])
        assert found is not None
        labels = promql.labels_of(found[1], frozenset())
        assert labels is not None
        assert found[2] in labels
    asked = " ".join(expression for _, expression in expressions_of(board))
    assert {one["name"] for one in choices} == set(re.findall(r'"\$(\w+)"', asked))


@boards
def test_a_legend_names_labels_that_the_answer_has(board: Any) -> None:
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            names = {series.name for series in promql.read(target["expr"]).series}
            kept = promql.read(target["expr"]).grouped_by | ({"job"} if names & recorded() else set())
            assert named <= kept, panel["title"]


def test_every_metric_is_on_a_dashboard_or_in_a_rule() -> None:
    asked = [expression for path in DASHBOARDS for _, expression in expressions_of(dashboard(path))]
    asked += [rule["expr"] for rule in rules()]
    shown = {promql.metric_of(series.name) for text_ in asked for series in promql.read(text_).series}
    assert set(catalog.ALL) - shown == set()


def test_provisioning_finds_the_dashboards() -> None:
    provider = yaml(DEPLOY / "grafana" / "provisioning" / "dashboards" / "llm-service.yml")["providers"][0]
    assert provider["type"] == "file"
    assert provider["options"]["path"].endswith("/llm-service")
    source = yaml(DEPLOY / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"][0]
    assert source["type"] == "prometheus"
