"""Figures of a full run become a page; a bounded run writes none."""

from pathlib import Path

import pytest

from tests.support.evidence import Evidence


def test_figures_become_a_page_with_revision_and_date(tmp_path: Path) -> None:
    Evidence(tmp_path / "evidence").record(
        "malformed-requests", title="Malformed requests", figures={"requests": 10_000}
    )
    page = (tmp_path / "evidence" / "malformed-requests.md").read_text(encoding="utf-8")
    assert page.startswith("# Malformed requests\n")
    assert "| requests | 10000 |" in page
    assert "\nRevision " in page


def test_a_later_run_replaces_the_page(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    for requests in (1, 2):
        evidence.record("soak", title="Soak", figures={"requests": requests})
    assert [path.name for path in tmp_path.iterdir()] == ["soak.md"]
    assert "| requests | 2 |" in (tmp_path / "soak.md").read_text(encoding="utf-8")


def test_a_bounded_run_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Evidence(None).record("soak", title="Soak", figures={"requests": 1})
    assert list(tmp_path.iterdir()) == []
