"""docs/comparison.md shows what was measured: the medians of docs/evidence/gateways.md, rounded."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
ROWS = {
    "nginx": "nginx",
    "Envoy": "envoy",
    "Rolter": "rolter",
    "Ferro": "ferro",
    "llm-service": "llm-service",
    "Portkey": "portkey",
    "LiteLLM": "litellm",
}


def rows_of(page: str, heading: str) -> dict[str, list[str]]:
    """The cells of the table below a heading, by the first of each row."""
    section = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip(" *") for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    return {cells[0]: cells[1:] for cells in rows[2:]}


def number(cell: str) -> float:
    """The first figure of a cell, which is the median."""
    return float(re.sub(r"[^\d.].*", "", cell.replace(",", "")))


SHOWN = {name.split()[0]: cells for name, cells in rows_of("comparison.md", "What we measured").items()}


def test_every_row_is_known() -> None:
    assert SHOWN.keys() == ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_the_measured_figures(name: str) -> None:
    request, chunk, idle, cancelled, _ = SHOWN[name]
    cpu = rows_of("evidence/gateways.md", "CPU")[ROWS[name]]
    others = rows_of("evidence/gateways.md", "Latency, memory, and what becomes of streams")[ROWS[name]]
    assert number(request) == pytest.approx(number(cpu[0]), abs=0.51)
    assert number(chunk) == pytest.approx(number(cpu[5]), abs=0.51)
    assert number(idle) == number(others[6])
    assert cancelled.replace(" of ", "/") == others[8]


def on_linux(lines: list[str]) -> list[Requirement]:
    found = [Requirement(line) for line in lines]
    place = {"sys_platform": "linux", "python_full_version": "3.13.0"}
    return [package for package in found if package.marker is None or package.marker.evaluate(place)]


def test_the_packages_are_those_of_the_lock() -> None:
    said = re.search(
        r"\*\*Few packages.\*\* (\d+) at run time on Linux, (\d+) of them chosen", (DOCS / "comparison.md").read_text()
    )
    lock = (ROOT / "requirements/run.lock").read_text()
    locked = on_linux([line.removesuffix(" \\") for line in lock.splitlines() if re.match(r"\w", line)])
    chosen = on_linux(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    assert said is not None
    assert said.groups() == (str(len(locked)), str(len(chosen)))
