"""The command behind ``scripts/fuzz``."""

import argparse
import importlib.util
import subprocess
import sys
import traceback
from hashlib import sha256
from pathlib import Path
from random import Random, SystemRandom

from fuzz.campaign import Result, campaign, what_comes_of
from fuzz.targets import TARGETS

HERE = Path(__file__).parent
CORPUS, FINDINGS, GROWN = HERE / "corpus", HERE / "findings", HERE / "grown"


def main(arguments: list[str] | None = None) -> int:
    """1 where a target shows a defect."""
    asked = _parser().parse_args(arguments)
    if asked.list:
        print(*TARGETS, sep="\n")
        return 0
    names = asked.target or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        print(f"There is no target {', '.join(unknown)}; there are {', '.join(TARGETS)}.", file=sys.stderr)
        return 2
    if asked.input:
        return max(_try_file(name, asked.input) for name in names)
    guided = not asked.own and importlib.util.find_spec("atheris") is not None
    run = _run_atheris if guided else _run
    return max([run(name, asked.seconds, asked.seed) for name in names])


def seeds_of(name: str) -> list[bytes]:
    """The inputs of a target that are kept with the source, and those that earlier runs found."""
    return [
        file.read_bytes() for folder in (CORPUS, GROWN) for file in sorted((folder / name).glob("*")) if file.is_file()
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/fuzz", description="Tries what strangers may send. README: fuzz/README.md"
    )
    parser.add_argument("target", nargs="*", help="which (default: all, one after the other)")
    parser.add_argument("--seconds", type=float, default=10, help="for how long, each (default: 10)")
    parser.add_argument("--seed", type=int, help="for the same inputs as before")
    parser.add_argument("--input", type=Path, help="try this file alone")
    parser.add_argument("--own", action="store_true", help="our own loop, also where atheris is installed")
    parser.add_argument("--list", action="store_true", help="the names of the targets")
    return parser


def _run(name: str, seconds: float, seed: int | None) -> int:
    seed = SystemRandom().randrange(10**6) if seed is None else seed
    result = campaign(TARGETS[name], seeds_of(name), seconds=seconds, dice=Random(seed))
    print(f"{name}: {result.runs:,} inputs, {result.lines:,} lines, {len(result.kept)} new (seed {seed})", flush=True)
    _keep(GROWN / name, *result.kept)
    return _report(name, result)


def _report(name: str, result: Result) -> int:
    if result.finding is None:
        return 0
    traceback.print_exception(result.finding.error)
    (path,) = _keep(FINDINGS / name, result.finding.data)
    print(f"{name}: {result.finding.data[:200]!r}\n  again: scripts/fuzz {name} --input {path}", file=sys.stderr)
    return 1


def _run_atheris(name: str, seconds: float, seed: int | None) -> int:
    for folder in (GROWN / name, FINDINGS / name):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={max(1, round(seconds))}", f"-artifact_prefix={FINDINGS / name}/", "-timeout=5"]
    if seed is not None:
        options.append(f"-seed={seed}")
    command = [sys.executable, "-P", "-m", "fuzz.guided", name, *options, str(GROWN / name), str(CORPUS / name)]
    return min(1, subprocess.run(command, check=False).returncode)


def _try_file(name: str, path: Path) -> int:
    error = what_comes_of(TARGETS[name], path.read_bytes())
    if error is None:
        print(f"{name}: nothing is wrong with {path}.")
        return 0
    traceback.print_exception(error)
    return 1


def _keep(folder: Path, *inputs: bytes) -> list[Path]:
    paths = [folder / sha256(data).hexdigest()[:16] for data in inputs]
    if paths:
        folder.mkdir(parents=True, exist_ok=True)
    for path, data in zip(paths, inputs, strict=True):
        path.write_bytes(data)
    return paths


if __name__ == "__main__":
    sys.exit(main())
