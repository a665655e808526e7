"""Links, anchors and headings are read as GitHub reads them."""

import pytest
from scripts.website.markdown import Link, anchors, links, slug_of, with_other_targets

PAGE = """\
# A page

A [link](one.md), ![a picture](two.png "its title") and [another](<three.md#here>).
`[code](none.md)` and ``[more `code`](none.md)`` are none.

```sh
[fenced](none.md)  # no heading
```

~~~~text
```
[in longer fences](none.md)
~~~~

[label]: four.md#there
<img src="five.svg" alt=""> <https://example.com/six>

## Twice
## Twice
## `code` & *more*: [words](seven.md)
<a id="by-hand"></a>
"""


def test_links_are_found_with_their_lines() -> None:
    assert [*links(PAGE)] == [
        Link(3, "one.md"),
        Link(3, "two.png"),
        Link(3, "three.md#here"),
        Link(15, "four.md#there"),
        Link(16, "five.svg"),
        Link(16, "https://example.com/six"),
        Link(20, "seven.md"),
    ]


def test_anchors_are_those_of_github() -> None:
    assert anchors(PAGE) == {"a-page", "twice", "twice-1", "code--more-words", "by-hand"}


@pytest.mark.parametrize(
    ("heading", "slug"),
    [
        ("What fails, and what then", "what-fails-and-what-then"),
        ("A_b - c", "a_b---c"),
        ("`/v1/ws` (4401)", "v1ws-4401"),
    ],
)
def test_slugs_are_those_of_github(heading: str, slug: str) -> None:
    assert slug_of(heading) == slug


def test_targets_are_replaced_where_they_stand() -> None:
    changed = with_other_targets("[one](one.md) `[one](one.md)` [two](two.md)\n", lambda target: f"../{target}")
    assert changed == "[one](../one.md) `[one](one.md)` [two](../two.md)\n"


@pytest.mark.parametrize(
    ("target", "external"), [("https://a.example/", True), ("mailto:a@b.example", True), ("//a", True), ("a.md", False)]
)
def test_an_address_of_another_host_is_external(target: str, external: bool) -> None:
    assert Link(1, target).is_external == external
