"""Where each microsecond goes: bench/profile runs it, and bench/README.md says what the figures are."""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.profiling import report
from bench.profiling.counting import Counts, by_part, count_calls
from bench.profiling.timing import measure_times

HELD: Final = Path(__file__).with_name("held_calls.json")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/profile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load: two a scenario")
    parser.add_argument("--json", type=Path, help="a file to keep the profile in")
    parser.add_argument("--against", type=Path, help="such a file: what differs from it")
    parser.add_argument("--functions", metavar="PART", help="and which functions a part calls, how often")
    parser.add_argument(
        "--check", action="store_true", help="count calls alone, and fail where a part makes more than held"
    )
    parser.add_argument("--hold", action="store_true", help="count calls alone, and hold later runs to them")
    return parser.parse_args()


def check(bounds: Mapping[str, Any]) -> int:
    ours = f"{sys.version_info.major}.{sys.version_info.minor}"
    calls = count_calls()
    print(summary(calls))
    if ours != bounds["python"]:
        print(f"The calls that are held are those of Python {bounds['python']}; this is {ours}: nothing is compared.")
        return 0
    if report.breaches(calls, bounds):
        calls = report.least_of(calls, count_calls())  # what else went on in the process only ever adds
    breaches = report.breaches(calls, bounds)
    for breach in breaches:
        print(breach)
    if breaches:
        print("Where that is as it should be: bench/profile --hold, and commit bench/profiling/held_calls.json.")
    return 1 if breaches else 0


def summary(calls: Mapping[str, Counts]) -> str:
    totals = (f"{name} {sum(by_part(counts).values())}" for name, counts in calls.items())
    return f"calls: {', '.join(totals)}"


def profile(wanted: argparse.Namespace) -> int:
    calls = count_calls()
    found = report.as_object(calls, measure_times(seconds=wanted.seconds))
    print(f"{found['made']}, {found['revision']}, Python {found['python']}, {found['machine']}\n")
    print(report.tables(found))
    if wanted.functions:
        for name, counts in calls.items():
            print(f"\n{name}, {wanted.functions}: {report.most_often(counts, wanted.functions)}")
    if wanted.against:
        print("\n" + report.differences(found, json.loads(wanted.against.read_bytes())))
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def main() -> int:
    wanted = arguments()
    if not sys.platform.startswith("linux"):
        print("bench/profile reads /proc, which is Linux's: nothing is measured here.")
        return 0
    if wanted.check:
        return check(json.loads(HELD.read_bytes()))
    if wanted.hold:
        calls = report.least_of(count_calls(), count_calls())
        HELD.write_text(json.dumps(report.held(calls), indent=1) + "\n", encoding="utf-8")
        print(summary(calls))
        return 0
    return profile(wanted)


if __name__ == "__main__":
    sys.exit(main())
