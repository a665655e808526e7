"""What several filters say of one text together."""

from llm_service.domain import Verdict
from llm_service.filters import Findings, Judgement, Masks, Text, judge
from tests.support.filtering import BAD, MAIL, Broken, Words, a_filter, ignored, unexpected

TEXT = f"{MAIL} is {BAD}, and so is {MAIL}"
MASK = a_filter(Words(MAIL, label="email"), name="mask", action="mask", reversible=True)
BLOCK = a_filter(name="block")


def judged(*filters: object, text: str = TEXT) -> Judgement:
    return judge(list(filters), Text(text), unexpected)  # type: ignore[arg-type]


def test_each_filter_has_its_matches_and_one_verdict() -> None:
    judgement = judged(MASK, BLOCK, a_filter(Words("nowhere"), name="silent"))
    assert [(one.name, len(matches)) for one, matches in judgement.found] == [("mask", 2), ("block", 1)]
    findings = Findings("input")
    findings.note(judgement)
    findings.note(judged(MASK))
    assert findings.verdicts() == [
        Verdict(filter="mask", type="keywords", on="input", action="mask", labels=("email",), count=4),
        Verdict(filter="block", type="keywords", on="input", action="block", labels=("word",), count=1),
    ]


def test_who_blocks_is_whose_match_stands_first() -> None:
    late, early = a_filter(Words("so is"), name="late"), a_filter(name="early")
    assert judged(late, early).blocks is early
    assert judged(MASK).blocks is None


def test_what_overlaps_is_one_edit_named_after_what_begins_first() -> None:
    wide = a_filter(Words("x.org is", label="site"), name="wide", action="mask")
    masks = Masks()
    judgement = judged(wide, MASK, text=f"To {MAIL} is {MAIL}{MAIL}.")
    assert judgement.masked(f"To {MAIL} is {MAIL}{MAIL}.", masks) == "To [EMAIL_1] [EMAIL_2][EMAIL_2]."
    assert masks.restore("[EMAIL_1]") == f"{MAIL} is"
    same = a_filter(Words("jo", label="name"), name="same", action="mask")
    assert judged(same, MASK, text=MAIL).masked(MAIL, masks) == "[NAME]"


def test_who_cannot_judge_is_told_and_closed_blocks() -> None:
    told: list[str] = []
    open_, closed = (a_filter(Broken(), name=name, on_failure=name) for name in ("open", "closed"))  # type: ignore[arg-type]
    judgement = judge([open_, MASK], Text(TEXT), lambda name, defect: told.append(f"{name}: {defect}"))
    assert (told, judgement.blocks, judgement.failed) == (["open: broken"], None, [open_])
    judgement = judge([MASK, BLOCK, closed], Text(TEXT), ignored)
    assert judgement.blocks is closed
    findings = Findings("output")
    findings.note(judgement)
    assert (findings.verdicts()[-1].action, findings.verdicts()[-1].failed) == ("block", True)


def test_the_end_is_undecided_where_it_is_for_any_of_them() -> None:
    assert judge([MASK, BLOCK], Text("write to jo"), unexpected, grows=True).open_from == 9
    assert judge([MASK, BLOCK], Text("write to jo"), unexpected).open_from == 11
