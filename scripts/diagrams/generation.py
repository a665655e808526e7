"""The life of a generation: one upstream call, its log of events, and who reads it."""

from typing import Final

from scripts.diagrams.drawing import Arrow, Box, Sheet, Words

SAYS: Final = """\
One request leads a generation and waits for its first content; others may join. Where it never begins, each of them
leads anew. Once it runs, its events are numbered and kept in a log, which each reader reads at its own pace. When
the last reader leaves it is cancelled, unless it is to be finished. Where the provider breaks off, the last event
is an error. When it is answered its end is held until the record is written; then everybody has it. It can be
resumed for the time of streams.retention_s, and is forgotten then."""


def sheet() -> Sheet:
    led = Box(190, 14, 260, 50, "waiting", ["one request leads; others may join"], "start")
    nobody = Box(486, 14, 140, 50, "never begun", ["each leads anew"], "bad")
    runs = Box(190, 136, 260, 68, "running", ["events are numbered and kept in a log,", "each reader at its own pace"])
    silent = Box(14, 136, 140, 68, "unread", ["its last reader left"])
    broken = Box(486, 136, 140, 68, "broken off", ["the last event is", "an error"], "bad")
    ended = Box(190, 276, 260, 68, "answered", ["its end is held until the", "record is written"])
    cancelled = Box(14, 276, 140, 68, "cancelled", ["the upstream call", "is ended at once"], "bad")
    settled = Box(
        190,
        416,
        260,
        68,
        "settled",
        ["everybody has the end; it can still be", "resumed for streams.retention_s"],
        "good",
    )
    gone = Box(486, 416, 140, 68, "forgotten", ["a resume finds", "nothing: 404"])
    return Sheet(
        title="The life of a generation",
        says=SAYS,
        width=640,
        height=498,
        boxes=[led, nobody, runs, silent, broken, ended, cancelled, settled, gone],
        arrows=[
            Arrow([(450, 39), (484, 39)]),
            Arrow([(320, 64), (320, 134)], Words(330, 104, ["the first content"])),
            Arrow([(188, 160), (156, 160)]),
            Arrow([(154, 184), (188, 184)], Words(14, 126, ["somebody resumes it"])),
            Arrow([(450, 170), (484, 170)]),
            Arrow([(320, 204), (320, 274)], Words(330, 244, ["the provider's last event"])),
            Arrow([(84, 204), (84, 274)], Words(14, 262, ["cancel"])),
            Arrow([(130, 204), (220, 274)], Words(168, 226, ["finish"])),
            Arrow([(320, 344), (320, 414)], Words(330, 384, ["the account closes"])),
            Arrow([(556, 204), (556, 380), (440, 414)], Words(566, 232, ["it closes"])),
            Arrow([(84, 344), (84, 440), (188, 440)], Words(14, 462, ["the account closes"])),
            Arrow([(450, 450), (484, 450)]),
        ],
    )
