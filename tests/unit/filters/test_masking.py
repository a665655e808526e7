"""Placeholders: numbered where they are to be put back, and never somebody else's."""

import pytest

from llm_service.filters import Masks


def test_the_same_original_has_the_same_number_and_labels_count_by_themselves() -> None:
    masks = Masks()
    made = [
        masks.placeholder(*asked) for asked in [("email", "a"), ("email", "b"), ("email", "a"), ("national_id", "a")]
    ]
    assert made == ["[EMAIL_1]", "[EMAIL_2]", "[EMAIL_1]", "[NATIONAL_ID_1]"]
    assert masks.restore("[EMAIL_2], [EMAIL_1]; [EMAIL_3] [NATIONAL_ID_1]") == "b, a; [EMAIL_3] a"


def test_without_an_original_there_is_nothing_to_put_back() -> None:
    masks = Masks()
    assert masks.placeholder("email") == "[EMAIL]"
    assert not masks
    assert masks.restore("[EMAIL] [EMAIL_1]") == "[EMAIL] [EMAIL_1]"


def test_what_the_prompt_contains_by_itself_stays_what_it_is() -> None:
    masks = Masks(prompt="Write to [EMAIL_1] and [EMAIL_3].")
    assert [masks.placeholder("email", original) for original in "ab"] == ["[EMAIL_2]", "[EMAIL_4]"]
    assert masks.restore("[EMAIL_1][EMAIL_2][EMAIL_3][EMAIL_4]") == "[EMAIL_1]a[EMAIL_3]b"


def test_an_original_with_a_placeholder_in_it_is_put_back_as_it_was() -> None:
    masks = Masks()
    first = masks.placeholder("word", "x")
    assert masks.restore(masks.placeholder("word", f"see {first}")) == f"see {first}"


@pytest.mark.parametrize(
    ("text", "open_from"),
    [("a[", 1), ("a[EMAIL_1", 1), ("a[EMAIL_1]", 10), ("a[EMAIL_2", 9), ("[EMA [EM", 5), ("a]", 2), ("", 0)],
)
def test_the_end_of_a_text_may_be_the_beginning_of_a_placeholder(text: str, open_from: int) -> None:
    masks = Masks()
    masks.placeholder("email", "a")
    assert masks.open_from(text) == open_from


def test_nothing_of_it_is_printed() -> None:
    masks = Masks()
    masks.placeholder("email", "jo@x.org")
    assert "jo" not in f"{masks!r} {masks}"


def test_what_was_put_back_is_taken_out_again_also_from_json() -> None:
    masks = Masks()
    made = [masks.placeholder("name", original) for original in ("Jo", 'Jo "x" Ray')]
    assert masks.conceal('Jo, Jo "x" Ray, Jo \\"x\\" Ray') == f"{made[0]}, {made[1]}, {made[1]}"
