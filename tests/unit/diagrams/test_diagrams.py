"""The diagrams are as they would be drawn now, name what the code has, and have their words beside them."""

import inspect
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from scripts.diagrams.drawing import CHAR_PX, Sheet, Words
from scripts.diagrams.files import FOLDER, sheets, texts

from llm_service.bootstrap import service

SHEETS = sheets()
STARRED = {"screening": "screen", "moderating": "moderate", "vetting": "vet", "sifting": "sift"}
"""Stages that are there when there are filters."""
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (FOLDER.parent / "explanation").glob("*.md")}


@pytest.mark.parametrize("name", SHEETS)
def test_a_file_is_as_it_would_be_drawn(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == texts()[name], "run scripts/update-diagrams"


@pytest.mark.parametrize("name", SHEETS)
def test_it_is_valid_and_asks_for_nothing(name: str) -> None:
    text = texts()[name]
    root = ET.fromstring(text)
    assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]
    assert re.findall(r"(?:href|src)=|url\((?!#)|@import|<script", text) == []


def end_px(words: Words, line: str) -> tuple[float, float]:
    """Where a line begins and ends."""
    width = len(line) * CHAR_PX
    begin = words.x - {"start": 0, "middle": width / 2, "end": width}[words.side]
    return begin, begin + width


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=lambda sheet: sheet.title)
def test_every_text_has_room(sheet: Sheet) -> None:
    for box in sheet.boxes:
        assert max(len(line) for line in [box.name, *box.lines]) * CHAR_PX <= box.width, box.name
        assert (box.right, box.bottom) <= (sheet.width, sheet.height)
    for words in sheet.texts:
        for line in words.lines:
            begin, end = end_px(words, line)
            assert 0 <= begin < end <= sheet.width, line


def test_the_stages_are_those_of_the_service() -> None:
    row = inspect.getsource(service.build_row).partition("compose(")[2]
    stages = [STARRED[starred] if starred else name for starred, name in re.findall(r'\*(\w+),|\("(\w+)", ', row)]
    assert SHEETS["request.svg"].names == ["door", *stages, "provider"]


@pytest.mark.parametrize("name", SHEETS)
def test_its_page_shows_it_with_what_it_says_in_words(name: str) -> None:
    (said,) = re.findall(rf"!\[([^\]]+)\]\(\.\./images/{re.escape(name)}\)", PAGES[Path(name).stem])
    assert len(said) > 80


def test_the_page_of_a_request_names_the_stages_in_their_order() -> None:
    stages = SHEETS["request.svg"].names[1:-1]
    (said,) = re.findall(r"!\[([^\]]+)\]", PAGES["request"])
    assert [word for word in re.findall(r"\w+", said) if word in stages] == stages
