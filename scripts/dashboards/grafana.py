"""Dashboards as Grafana has them (classic JSON model, as of schema version 39: Grafana 11 and later read it).

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["timeseries", "stat", "heatmap", "bargauge", "state-timeline"]
Json = dict[str, Any]

SCHEMA_VERSION: Final = 39
COLUMNS: Final = 24
HEIGHTS: Final[Mapping[str, int]] = {"stat": 4, "bargauge": 8, "heatmap": 9, "timeseries": 8, "state-timeline": 7}
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WHERE: Final = 'job=~"$job", instance=~"$instance"'
"""What ``WHERE`` stands for in an expression."""


@dataclass(frozen=True, slots=True)
class Query:
    """``legend``: with labels in double braces; empty where there is one series only."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """``unit``: one of Grafana's ids (``s``, ``reqps``, ``percentunit`` ...). ``width``: of 24 columns.

    ``steps``: from which value on which colour; ``states``: words for values. ``top``: the axis ends there.
    """

    title: str
    queries: Sequence[Query]
    about: str = ""
    unit: str = "short"
    kind: Kind = "timeseries"
    width: int = 12
    stacked: bool = False
    steps: Sequence[tuple[float | None, str]] = ()
    states: Mapping[str, tuple[str, str]] | None = None
    top: float | None = None
    decimals: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading; they fill the columns from left to right, and break where the next has no room."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice of the reader among the values of a label."""

    name: str
    label: str
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard; ``name`` is that of its file and, behind ``llm-service-``, its uid."""

    name: str
    title: str
    about: str
    variables: Sequence[Variable] = ()
    rows: Sequence[Row]

    def json(self) -> Json:
        """The whole dashboard."""
        return {
            "annotations": {"list": [_alerts()]},
            "description": self.about,
            "editable": True,
            "graphTooltip": 1,
            "id": None,
            "links": [_siblings()],
            "panels": list(_laid_out(self.rows)),
            "refresh": "30s",
            "schemaVersion": SCHEMA_VERSION,
            "tags": ["llm-service"],
            "templating": {"list": [_datasource(), *map(_choice, (*EVERYWHERE, *self.variables))]},
            "time": {"from": "now-6h", "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "title": self.title,
            "uid": f"llm-service-{self.name}",
            "version": 1,
            "weekStart": "",
        }


EVERYWHERE: Final = (
    Variable(name="job", label="Service", of="label_values(llm_build_info, job)"),
    Variable(name="instance", label="Machine", of='label_values(llm_build_info{job=~"$job"}, instance)'),
)


def _laid_out(rows: Sequence[Row]) -> Iterator[Json]:
    number, y = 1, 0
    for row in rows:
        yield {
            "collapsed": False,
            "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
            "id": number,
            "panels": [],
            "title": row.title,
            "type": "row",
        }
        number, x, y, line = number + 1, 0, y + 1, 0
        for panel in row.panels:
            height = HEIGHTS[panel.kind]
            if x + panel.width > COLUMNS:
                x, y, line = 0, y + line, 0
            yield _panel(panel, number, {"h": height, "w": panel.width, "x": x, "y": y})
            number, x, line = number + 1, x + panel.width, max(line, height)
        y += line


def _panel(panel: Panel, number: int, place: Json) -> Json:
    return {
        "datasource": SOURCE,
        "description": panel.about,
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "gridPos": place,
        "id": number,
        "options": _options(panel.kind),
        "targets": [_target(panel.kind, index, query) for index, query in enumerate(panel.queries)],
        "title": panel.title,
        "type": panel.kind,
    }


def _target(kind: Kind, index: int, query: Query) -> Json:
    now = kind in {"stat", "bargauge"}
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expr.replace("WHERE", WHERE),
        "format": "heatmap" if kind == "heatmap" else "time_series",
        "instant": now,
        "legendFormat": query.legend or "__auto",
        "range": not now,
        "refId": chr(ord("A") + index),
    }


def _field(panel: Panel) -> Json:
    steps = panel.steps or ((None, "green" if panel.kind == "stat" else "blue"),)
    field: Json = {
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "custom": _drawn(panel),
        "mappings": [],
        "thresholds": {"mode": "absolute", "steps": [{"color": color, "value": value} for value, color in steps]},
        "unit": panel.unit,
    }
    if panel.kind in {"timeseries", "bargauge"} and panel.unit != "currencyUSD":
        field["min"] = 0
    if panel.top is not None:
        field["max"] = panel.top
    if panel.decimals is not None:
        field["decimals"] = panel.decimals
    if panel.states is not None:
        options = {value: {"text": text, "color": color} for value, (text, color) in panel.states.items()}
        field["mappings"] = [{"type": "value", "options": options}]
    return field


def _drawn(panel: Panel) -> Json:
    match panel.kind:
        case "timeseries":
            return {
                "drawStyle": "line",
                "fillOpacity": 25 if panel.stacked else 5,
                "lineWidth": 1,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"group": "A", "mode": "normal" if panel.stacked else "none"},
                "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
            }
        case "state-timeline":
            return {"fillOpacity": 70, "lineWidth": 0}
        case _:
            return {}


def _options(kind: Kind) -> Json:
    reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    legend = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
    match kind:
        case "timeseries":
            table = {**legend, "displayMode": "table", "calcs": ["mean", "max", "lastNotNull"]}
            return {"legend": table, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "stat":
            return {"colorMode": "value", "graphMode": "none", "reduceOptions": reduced, "textMode": "auto"}
        case "bargauge":
            return {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": reduced, "showUnfilled": True}
        case "state-timeline":
            return {"legend": legend, "mergeValues": True, "showValue": "never", "tooltip": {"mode": "single"}}
        case "heatmap":
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Turbo", "exponent": 0.5, "steps": 64},
                "legend": {"show": True},
                "tooltip": {"mode": "single", "yHistogram": True},
                "yAxis": {"unit": "s"},
            }


def _alerts() -> Json:
    return {
        "datasource": SOURCE,
        "enable": True,
        "expr": "max by (alert, severity) (llm_alerts_firing{WHERE}) == 1".replace("WHERE", WHERE),
        "iconColor": "red",
        "name": "Alerts",
        "step": "60s",
        "tagKeys": "severity",
        "titleFormat": "{{alert}}",
    }


def _siblings() -> Json:
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": ["llm-service"],
        "targetBlank": False,
        "title": "llm-service",
        "tooltip": "",
        "type": "dashboards",
        "url": "",
    }


def _datasource() -> Json:
    return {
        "current": {},
        "hide": 0,
        "includeAll": False,
        "label": "Prometheus",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "type": "datasource",
    }


def _choice(variable: Variable) -> Json:
    return {
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": SOURCE,
        "definition": variable.of,
        "hide": 0,
        "includeAll": True,
        "label": variable.label,
        "multi": True,
        "name": variable.name,
        "options": [],
        "query": {"qryType": 1, "query": variable.of, "refId": variable.name},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "type": "query",
    }
