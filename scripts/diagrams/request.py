"""The way of a request: its stages from the door to the provider, and what each does on the way out."""

from typing import Final, NamedTuple

from scripts.diagrams.drawing import Arrow, Box, Sheet, Words

WIDTH: Final = 640
ROW: Final = 44
LEFT, BOX, RIGHT = 250, 100, 370
TOP: Final = 56


class Stage(NamedTuple):
    name: str
    way_in: tuple[str, ...]
    way_out: tuple[str, ...] = ()


STAGES: Final = (
    Stage(
        "observe",
        ("from here on it is told of,", "however it ends"),
        ("log line, metrics, events,", "spans: how it ended"),
    ),
    Stage("shed", ("too much for this process: 503",), ("no longer in flight",)),
    Stage("resolve", ("which route has this name: 404,", "403 where the key may not")),
    Stage("check", ("bounds, addresses, what the", "model takes, what fits: 400")),
    Stage("screen", ("filters judge and mask", "the prompt: 400")),
    Stage("remember", ("the key of the cache;", "the look-up begins"), ("the answer is kept;", "others get its end")),
    Stage(
        "replay",
        ("given before under its", "Idempotency-Key? 422 if another"),
        ("the answer is kept", "under that key"),
    ),
    Stage("rank", ("the deployments, in the order", "in which they are tried")),
    Stage(
        "admit",
        ("all limits in one decision:", "a lease, or 429"),
        ("the one record is closed,", "then the lease is settled"),
    ),
    Stage("moderate", ("models and webhooks judge", "the prompt: 400")),
    Stage(
        "share",
        ("kept? on its way? else a new", "generation, which this one leads"),
        ("events into the log,", "to all who read it"),
    ),
    Stage("account", ("the intent in the journal, or 503",)),
    Stage("vet", (), ("the answer is judged elsewhere,", "before anybody has any of it")),
    Stage("sift", (), ("filters judge and mask", "the answer as it comes")),
    Stage("call", ("one deployment after another,", "until one gives content"), ("the fleet hears how it ended",)),
)
BOTTOM: Final = TOP + ROW * (len(STAGES) + 1)


def sheet() -> Sheet:
    door = Box(LEFT - 30, 12, BOX + 60, 32, "door", kind="start")
    provider = Box(LEFT - 30, BOTTOM - 30, BOX + 60, 32, "provider", kind="start")
    rows = [Box(LEFT, TOP + ROW * index + 8, BOX, 28, one.name) for index, one in enumerate(STAGES)]
    words = [
        Words(door.x - 14, 32, ["the request comes in"], "end", name=True),
        Words(door.right + 14, 32, ["the reply goes out"], name=True),
        Words(provider.x - 14, BOTTOM - 10, ["HTTP"], "end"),
        Words(provider.right + 14, BOTTOM - 10, ["one batch of events a socket read"]),
    ]
    for box, one in zip(rows, STAGES, strict=True):
        words += [Words(box.x - 26, _base(box, one.way_in), one.way_in, "end")] if one.way_in else []
        words += [Words(box.right + 26, _base(box, one.way_out), one.way_out)] if one.way_out else []
    down, up = LEFT - 14, LEFT + BOX + 14
    return Sheet(
        title="The way of a request",
        says="Down the left side the request passes the stages "
        + ", ".join(one.name for one in STAGES)
        + " to the provider; up the right side the reply comes back through those that watch it.",
        width=WIDTH,
        height=BOTTOM + 14,
        boxes=[door, *rows, provider],
        arrows=[Arrow([(down, 44), (down, BOTTOM - 32)]), Arrow([(up, BOTTOM - 30), (up, 46)])],
        words=words,
    )


def _base(box: Box, lines: tuple[str, ...]) -> int:
    return box.y + 18 - 8 * (len(lines) - 1)
