"""What opening the stores needs besides their settings."""

import random
from dataclasses import field
from pathlib import Path

from llm_service.domain import Secret, fact
from llm_service.observability import Arena, LevelOverride, Log, MetricsSource, Redaction
from llm_service.runtime import Clock


@fact
class Surroundings:
    """What opening the stores needs besides their settings. ``redis_url`` stands in for the configured one.

    ``level_override``: the one that all logs of this process go by; ``redaction``: what keeps secrets out of what it
    tells. ``arena``: where the processes of this machine keep their figures; ``None``: this one is alone.
    ``worker``: the number of the process among several. ``metrics``: where the figures of all of them are read.
    """

    data_dir: Path
    clock: Clock
    dice: random.Random
    log: Log
    redis_url: Secret | None = None
    arena: Arena | None = None
    level_override: LevelOverride = field(default_factory=LevelOverride)
    redaction: Redaction = field(default_factory=Redaction)
    worker: int | None = None
    metrics: MetricsSource | None = None
