"""What is written of a comparison, and what is left out of one."""

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from bench.comparing import installing, report
from bench.comparing.__main__ import filled, turned
from bench.comparing.peers import FEATURES, OURS_ON, PEERS, SETTINGS
from bench.measuring.processes import Cpu, Stat, members, stat_of


def load(**figures: Any) -> dict[str, Any]:
    return {"problems": {}, "rate": 5_000.0, "cpu_us": 70.0, "kernel_us": 20.0, **figures}


def one_round(cpu_us: float, p99: float, **more: Any) -> dict[str, Any]:
    latency = load(latency_us={"p50": 300.0, "p99": p99})
    paced = load(first_us={"p50": 900.0}, chunk_us={"p50": 100.0, "p99": 400.0})
    return {
        "start_s": 0.3,
        "idle_mb": 50.0,
        "pass_1k": load(cpu_us=cpu_us),
        "latency": latency,
        "paced": paced,
        "cancel": {"streams": 40, "cancelled": 40, "seconds": 0.1},
        "drain": {"streams": 20, "whole": 20, "exit_s": 1.0},
        **more,
    }


@pytest.fixture
def results() -> dict[str, Any]:
    direct = {
        "latency": load(latency_us={"p50": 100.0, "p99": 500.0}),
        "paced": load(first_us={"p50": 800.0}, chunk_us={"p50": 60.0, "p99": 300.0}),
    }
    wrong = one_round(90.0, 1_500.0, cancel={"streams": 40, "cancelled": 12, "seconds": 4.0})
    wrong["burst"] = load(problems={"order": 3, "status 500": 1})
    return {
        "made": "2026-11-26 20:00",
        "revision": "abc",
        "python": "3.11.7",
        "machine": "a machine",
        "processors": 2,
        "traffic": "C",
        "rounds": 2,
        "seconds": 3.0,
        "peers": {"ours": {"version": "0.1.0", "on": {"keys": "an issued key"}, "note": "to know"}},
        "left_out": {"haproxy": "not on this machine"},
        "found": {"direct": [direct, direct], "ours": [one_round(70.0, 1_000.0), wrong]},
    }


def rows(text: str, name: str) -> list[list[str]]:
    """The rows of all tables that begin with this cell."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [line for line in lines if line[0] == name]


def test_a_report_has_medians_spreads_and_the_worst(results: dict[str, Any]) -> None:
    on, costs, behaviour = rows(report.markdown(results), "ours")
    assert on[:4] == ["ours", "0.1.0", "an issued key", "-"]
    assert costs[1] == "80.0 (70.0 to 90.0)"
    assert costs[-1] == "4 (order)"
    assert behaviour[1:3] == ["200", "750"]
    assert behaviour[-2:] == ["12/40", "20/20, 1.0 s"]


def test_a_report_says_what_is_left_out_and_why(results: dict[str, Any]) -> None:
    assert rows(report.markdown(results), "haproxy") == [["haproxy", "not on this machine"]]
    assert "Left out" not in report.markdown({**results, "left_out": {}})


def test_what_was_not_measured_is_a_dash(results: dict[str, Any]) -> None:
    results["found"]["ours"] = [one_round(70.0, 1_000.0, latency=None)]
    _, costs, behaviour = rows(report.markdown(results), "ours")
    assert costs[7] == "-"
    assert behaviour[1] == "-"


def test_tables_and_plots_are_written_beside_each_other(results: dict[str, Any], tmp_path: Path) -> None:
    report.written(results, tmp_path)
    plots = sorted(path.stem for path in tmp_path.glob("*.svg"))
    assert plots == ["burst", "hit", "memory", "p50", "p99", "paced", "pass-16k", "pass-1k"]
    for path in tmp_path.glob("*.svg"):
        ET.parse(path)
    assert "ours" in (tmp_path / "p99.svg").read_text()
    assert (tmp_path / "report.md").read_text() == report.markdown(results)


def test_another_gateway_is_first_in_each_round() -> None:
    assert [turned(["a", "b", "c"], number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert sorted(turned(["a", "b", "c"], 2)) == ["a", "b", "c"]
    assert turned([], 1) == []


def test_every_peer_is_pinned_has_its_settings_and_says_what_is_on() -> None:
    for peer in PEERS:
        assert peer.pin in installing.pins()
        assert peer.settings is None or (SETTINGS / peer.settings).is_file()
        assert set(peer.on) <= set(FEATURES)
    assert set(OURS_ON) == set(FEATURES)
    assert {peer.pin for peer in PEERS} == set(installing.pins())


def test_every_version_is_pinned() -> None:
    for pin in installing.pins().values():
        packages = pin.get("packages", [])
        names = [f"{name}=={version}" for name, version in packages.items()] if isinstance(packages, dict) else packages
        for name in names:
            assert name.rpartition("==")[2][0].isdigit()


def test_settings_are_filled_in_whole() -> None:
    values = {"@PORT@": "1", "@UPSTREAM@": "2", "@FOLDER@": "/f", "@BIN@": "/b"}
    for peer in PEERS:
        texts = [*peer.command, *peer.environment.values(), *peer.headers]
        if peer.settings:
            texts.append((SETTINGS / peer.settings).read_text())
        filled_in = [filled(text, values) for text in texts]
        assert not any(name in text for text in filled_in for name in values)


def test_what_was_installed_as_it_is_pinned_is_left_alone(tmp_path: Path) -> None:
    pin = {"by": "pip", "packages": ["nothing==1.0"]}
    assert "not installed as pinned" in installing.missing("nothing", pin, tmp_path)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / installing.INSTALLED).write_text(json.dumps(pin))
    assert installing.missing("nothing", pin, tmp_path) == ""
    assert installing.install("nothing", pin, tmp_path) == ""
    assert installing.missing("nothing", {**pin, "packages": ["nothing==2.0"]}, tmp_path)


def test_a_program_of_the_system_is_not_installed(tmp_path: Path) -> None:
    pin = {"by": "system", "program": "no-such-program"}
    assert "no-such-program" in installing.install("nothing", pin, tmp_path)
    assert installing.install("python", {"by": "system", "program": sys.executable}, tmp_path) == ""


def test_an_installer_that_fails_says_why(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "import sys; sys.exit('\\nno such package\\n')")
    assert installing.ran(command, tmp_path) == "no such package"
    assert installing.ran((sys.executable, "-c", ""), tmp_path) == ""


def test_cpu_is_read_from_the_kernels_line() -> None:
    line = "12 (a (b) c) S 7 12 9 0 -1 4194560 100 0 0 0 250 50 100 25 20 0 1 0 5 1 1"
    assert stat_of(line, children=False) == Stat(parent=7, session=9, cpu=Cpu(2.5, 0.5))
    assert stat_of(line, children=True).cpu == Cpu(3.5, 0.75)


def test_a_tree_is_a_process_its_descendants_and_its_session() -> None:
    none = Cpu(0, 0)
    stats = {
        1: Stat(0, 1, none),
        10: Stat(1, 10, none),
        11: Stat(10, 10, none),
        12: Stat(11, 12, none),  # with a session of its own
        13: Stat(1, 10, none),  # whose parent has ended
        20: Stat(1, 1, none),
    }
    assert members(10, stats) == {10, 11, 12, 13}
