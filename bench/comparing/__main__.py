"""Our service beside others on this machine: see bench/compare, which runs it, and bench/README.md."""

import argparse
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bench.comparing import installing, report
from bench.comparing.peers import OURS, OURS_ON, PEERS, SETTINGS, Peer
from bench.comparing.running import Start, Target, run_direct, run_once
from bench.measuring import our_service
from bench.measuring.made import made
from bench.measuring.processes import ask, free_port, processors, started, until_well
from bench.traffic.made import in_c, program

import llm_service

OURS_NOTE: Final = "this checkout, everything on; each request is a miss where it is not said to be a hit"


class Comparison:
    """Several rounds of all gateways."""

    def __init__(self, wanted: argparse.Namespace) -> None:
        self._wanted = wanted
        self._pins = installing.pins()
        self._cpus = processors()
        self._stack = ExitStack()
        self.upstream_port = free_port()
        chosen = wanted.peer or [OURS, *(peer.name for peer in PEERS)]
        self.left_out = dict[str, str]()
        self.peers = dict[str, Peer | None]()
        """In the order of the first round; None is ourselves."""
        for name in chosen:
            if name == OURS:
                self.peers[name] = None
                continue
            peer = next(peer for peer in PEERS if peer.name == name)
            reason = installing.missing(peer.pin, self._pins[peer.pin], wanted.folder)
            if reason:
                self.left_out[name] = reason
            else:
                self.peers[name] = peer

    def run(self) -> dict[str, Any]:
        found: dict[str, list[Any]] = {report.DIRECT: [], **{name: [] for name in self.peers}}
        other_cpu = self._cpus[1]
        command = (*program("upstream"), str(self.upstream_port))
        with started(command, environment=our_service.environment(), cpu=other_cpu) as upstream:
            until_well(lambda: ask(self.upstream_port, "/counts")[0] == 200, upstream, within_s=10)
            for number in range(self._wanted.rounds):
                found[report.DIRECT].append(
                    run_direct(upstream_port=self.upstream_port, cpu=other_cpu, seconds=self._wanted.seconds)
                )
                for name in turned(list(self.peers), number):
                    say(f"round {number + 1} of {self._wanted.rounds}: {name}")
                    try:
                        found[name].append(self._once(name))
                    except RuntimeError as error:
                        say(f"  failed: {error}")
                        self.left_out[name] = str(error).replace("\n", " ")[:400]
                        del self.peers[name], found[name]
        return {
            **made(),
            "traffic": "C" if in_c(program("load")) else "Python",
            "rounds": self._wanted.rounds,
            "seconds": self._wanted.seconds,
            "peers": {name: self._described(name) for name in self.peers},
            "left_out": self.left_out,
            "found": found,
        }

    def _once(self, name: str) -> dict[str, Any]:
        peer = self.peers[name]
        with TemporaryDirectory(prefix="bench-") as folder:
            start = ours(Path(folder), self.upstream_port) if peer is None else self._theirs(peer, Path(folder))
            return run_once(
                start,
                upstream_port=self.upstream_port,
                cpus=self._cpus,
                seconds=self._wanted.seconds,
                paced_streams=200 if peer is None else peer.paced_streams,
                caches=peer is None or peer.caches,
            )

    def _theirs(self, peer: Peer, folder: Path) -> Start:
        port = free_port()
        programs = installing.programs(peer.pin, self._pins[peer.pin], self._wanted.folder)
        values = {
            "@BIN@": str(programs),
            "@PORT@": str(port),
            "@UPSTREAM@": str(self.upstream_port),
            "@FOLDER@": str(folder),
        }
        if peer.settings is not None:
            text = (SETTINGS / peer.settings).read_text(encoding="utf-8")
            (folder / peer.settings).write_text(filled(text, values), encoding="utf-8")
        environment = our_service.environment()
        ambient = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
        return Start(
            command=[filled(word, values) for word in peer.command],
            environment={**ambient, **{name: filled(value, values) for name, value in peer.environment.items()}},
            folder=folder,
            target=Target(
                port=port, key=peer.key, model=peer.model, headers=[filled(header, values) for header in peer.headers]
            ),
            stops_by=peer.stops_by,
        )

    def _described(self, name: str) -> dict[str, Any]:
        peer = self.peers[name]
        if peer is None:
            return {"version": llm_service.__version__, "on": OURS_ON, "note": OURS_NOTE}
        version = installing.version(peer.pin, self._pins[peer.pin], peer.version)
        note = peer.note if peer.paced_streams == 200 else f"{peer.note}; paced: {peer.paced_streams} streams, not 200"
        return {"version": version, "on": dict(peer.on), "note": note}


def ours(folder: Path, upstream_port: int) -> Start:
    """Our service with everything on, asked with a key that it has issued."""
    port = free_port()

    def prepare() -> Target:
        return Target(port=port, key=our_service.issue_key(port), model=our_service.MODEL)

    return Start(
        command=our_service.command(our_service.prepared(folder, port=port, upstream_port=upstream_port)),
        environment=our_service.environment(),
        folder=folder,
        target=Target(port=port, key=our_service.ADMIN_KEY, model=our_service.MODEL),
        stops_by=signal.SIGTERM,
        prepare=prepare,
        is_up=lambda: our_service.is_up(port),
    )


def filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def turned(names: Sequence[str], number: int) -> list[str]:
    """Another one is first in each round."""
    at = number % len(names) if names else 0
    return [*names[at:], *names[:at]]


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def install(wanted: argparse.Namespace) -> int:
    pins = installing.pins()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in wanted.peer or sorted(pins):
        reason = installing.install(name, pins[name], wanted.folder)
        failed += bool(reason)
        print(f"{name}: {reason or 'is there'}", flush=True)
    return 1 if failed else 0


def run(wanted: argparse.Namespace) -> int:
    results = Comparison(wanted).run()
    wanted.out.mkdir(parents=True, exist_ok=True)
    (wanted.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    report.written(results, wanted.out)
    print(report.markdown(results))
    return 0


def again(wanted: argparse.Namespace) -> int:
    report.written(json.loads(wanted.results.read_bytes()), wanted.results.parent)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/compare", description=__doc__)
    kinds = parser.add_subparsers(required=True)
    installs = kinds.add_parser("install", help="peers, as pins.json has them, into environments below a folder")
    installs.add_argument("folder", type=Path)
    installs.add_argument("peer", nargs="*")
    installs.set_defaults(act=install)
    runs = kinds.add_parser("run", help="rounds of all gateways that are there")
    runs.add_argument("folder", type=Path, help="the one that install was given")
    runs.add_argument(
        "peer", nargs="*", help=f"{OURS}, {', '.join(peer.name for peer in PEERS)}; all where none is named"
    )
    runs.add_argument("--rounds", type=int, default=3)
    runs.add_argument("--seconds", type=float, default=3.0, help="of each load")
    runs.add_argument("--out", type=Path, default=Path("comparison"), help="a folder for results, tables and plots")
    runs.set_defaults(act=run)
    reports = kinds.add_parser("report", help="tables and plots anew, beside results.json")
    reports.add_argument("results", type=Path)
    reports.set_defaults(act=again)
    return parser.parse_args()


def main() -> int:
    if not sys.platform.startswith("linux"):
        print("bench/compare reads /proc, which is Linux's: nothing is measured here.")
        return 0
    wanted = arguments()
    status: int = wanted.act(wanted)
    return status


if __name__ == "__main__":
    sys.exit(main())
