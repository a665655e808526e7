"""The life of a lease: what a request holds of its limits, until it is known what it used."""

from typing import Final

from scripts.diagrams.drawing import Arrow, Box, Sheet, Words

SAYS: Final = """\
A request asks for room in all limits it meets. It is refused, and nothing was taken, or it holds a lease: the most
that it can use is reserved. For another provider the provider's part is swapped. When its account closes the lease
is settled: what was used stays counted, the rest is free. Where nothing was begun all is given back. When its
process dies another one settles it by the record in the journal. When the shared store loses its memory, budgets
are seeded from the ledger and the money is added by the mark of the record."""


def sheet() -> Sheet:
    asked = Box(220, 14, 200, 50, "asked", ["one decision over all limits"], "start")
    refused = Box(468, 14, 158, 50, "refused", ["nothing was taken"], "bad")
    held = Box(190, 128, 260, 68, "held", ["the most that it can use is reserved:", "requests, tokens, money, a place"])
    settled = Box(14, 290, 190, 68, "settled", ["what was used stays counted,", "the rest is free at once"], "good")
    given = Box(230, 290, 180, 68, "given back", ["nothing was begun:", "as if it had never been"], "good")
    orphaned = Box(436, 290, 190, 68, "orphaned", ["its process is dead,", "its journal is not"], "bad")
    adopted = Box(
        436, 420, 190, 68, "settled by its record", ["another process reads what", "it used in the journal"], "good"
    )
    forgotten = Box(
        14,
        420,
        390,
        68,
        "forgotten",
        [
            "the shared store lost its memory: the next one is seeded",
            "from the ledger, the money of this one is added by its mark",
        ],
        "bad",
    )
    return Sheet(
        title="The life of a lease",
        says=SAYS,
        width=640,
        height=502,
        boxes=[asked, refused, held, settled, given, orphaned, adopted, forgotten],
        arrows=[
            Arrow([(420, 39), (466, 39)]),
            Arrow([(320, 64), (320, 126)], Words(330, 100, ["every one has room"])),
            Arrow(
                [(190, 160), (110, 160), (110, 184), (188, 184)],
                Words(14, 104, ["another provider is tried:", "its part in place of", "the former one's"]),
            ),
            Arrow([(200, 196), (109, 288)], Words(22, 232, ["the account closes"])),
            Arrow([(320, 196), (320, 288)], Words(328, 262, ["its grant was of no use"])),
            Arrow([(410, 196), (531, 288)], Words(486, 232, ["its process dies"])),
            Arrow([(531, 358), (531, 418)], Words(541, 392, ["adopted"])),
            Arrow([(217, 196), (217, 418)], Words(24, 392, ["the store begins a new life"])),
        ],
    )
