"""When, where and with what a measurement is made."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from typing import Any

from bench.measuring.our_service import CHECKOUT


def revision() -> str:
    """Of this checkout; empty where it is none."""
    asked = ("git", "-C", str(CHECKOUT), "describe", "--always", "--dirty")
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
    return done.stdout.strip()


def machine() -> str:
    """Its processor and system."""
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123 - read once
            model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    except OSError:
        pass
    return f"{model or platform.machine()}, {platform.system()} {platform.release()}"


def made() -> dict[str, Any]:
    """When, where and with what a measurement is made."""
    return {
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "revision": revision(),
        "python": platform.python_version(),
        "machine": machine(),
        "processors": len(os.sched_getaffinity(0)),
    }
