"""A record's way from the request to the database."""

from typing import Final

from scripts.diagrams.drawing import Arrow, Box, Lane, Sheet, Words

SAYS: Final = """\
An intent is written into the journal of the process before an upstream is called, the record before the last byte
goes out. The file is brought to the disk every 50 ms, or before each answer. Its lines are shipped to the database
every 200 ms or 500 rows; a segment that has arrived is removed. Chains are sealed by the hour, and sealed records
removed after the retention. The journal of a dead process is adopted: what it closed is shipped, what it did not
gets a record with the status interrupted."""


def sheet() -> Sheet:
    intent = Box(34, 52, 250, 52, "intent", ["before an upstream is called"], "start")
    close = Box(34, 140, 250, 52, "record", ["before the last byte goes out"], "start")
    disk = Box(350, 52, 256, 52, "on the disk itself", ["every 50 ms, or before each answer"], "store")
    segment = Box(350, 140, 256, 52, "segment", ["lines with checksums, in a chain"], "store")
    shipped = Box(
        34, 282, 250, 68, "shipped", ["every 200 ms or 500 rows, in order;", "again and again while it is away"]
    )
    removed = Box(350, 290, 256, 52, "segment removed", ["when the database has all of it"])
    sealed = Box(34, 400, 250, 52, "sealed", ["by the hour, and when a process ends"], "good")
    old = Box(350, 400, 256, 52, "removed", ["after ledger.retention_days, if sealed"])
    adopted = Box(34, 522, 250, 68, "adopted", ["by whoever gets the lock of the file:", "its records are shipped"])
    interrupted = Box(
        350,
        522,
        256,
        68,
        "interrupted",
        ["an intent without a record gets one:", "as if all that was held had been used"],
        "bad",
    )
    return Sheet(
        title="The way of a record",
        says=SAYS,
        width=640,
        height=616,
        boxes=[intent, close, disk, segment, shipped, removed, sealed, old, adopted, interrupted],
        arrows=[
            Arrow([(284, 78), (348, 152)]),
            Arrow([(284, 166), (348, 166)]),
            Arrow([(478, 140), (478, 106)], Words(488, 127, ["a thread"])),
            Arrow([(420, 192), (420, 240), (160, 240), (160, 280)], Words(170, 234, ["behind the request's back"])),
            Arrow([(284, 316), (348, 316)]),
            Arrow([(160, 350), (160, 398)]),
            Arrow([(284, 426), (348, 426)]),
            Arrow([(284, 556), (348, 556)]),
        ],
        lanes=[
            Lane(14, 20, 612, 192, "the process, and its journal file"),
            Lane(14, 254, 612, 216, "the database"),
            Lane(14, 490, 612, 112, "when the process has died"),
        ],
    )
