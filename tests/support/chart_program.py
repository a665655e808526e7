"""Renders and lints a chart as Helm does, in a process of its own: Helm is a library in Go, with threads of its own.

Standard input: {"chart", "cases": [values]}. Standard output: for each case {"refused"}, or {"files", "lint"}.
"""

import json
import sys
from typing import Any

import helm_python as helm


def rendered(chart: helm.Chart, values: dict[str, Any]) -> dict[str, Any]:
    try:
        chart.validate_schema(values)
        return {"files": chart.render(values, name="demo", namespace="prod")}
    except helm.HelmError as refused:
        return {"refused": str(refused)}


def main() -> None:
    asked = json.load(sys.stdin)
    answers = []
    with helm.Chart.load(asked["chart"]) as chart:
        for values in asked["cases"]:
            answer = rendered(chart, values)
            if "files" in answer:
                answer["lint"] = helm.lint(asked["chart"], values, strict=True)
            answers.append(answer)
    json.dump(answers, sys.stdout)


main()
