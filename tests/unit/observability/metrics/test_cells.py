"""Figures in shared memory: names and cells that a reader finds at any moment, and that outlive their writer."""

import pytest

from llm_service.observability.metrics.cells import LAYOUT, Cells, Series


def memory(size: int = 4096) -> memoryview:
    return memoryview(bytearray(size))


def writer(space: memoryview) -> Cells:
    cells = Cells(space)
    cells.begin()
    return cells


def test_a_reader_finds_the_series_and_what_was_counted() -> None:
    space = memory()
    cells = writer(space)
    first = cells.add("a", ("x", "y"), count=1)
    second = cells.add("b", (), count=3)
    assert first is not None
    assert second is not None
    cells.view[first] += 2.5
    cells.view[second + 2] += 4.0
    reader = Cells(space.toreadonly())
    assert list(reader.news()) == [Series("a", ("x", "y"), first), Series("b", (), second)]
    lowest, values = reader.values()
    assert values[first - lowest] == 2.5
    assert values[second - lowest : second - lowest + 3] == [0.0, 0.0, 4.0]


def test_a_reader_is_told_each_series_once() -> None:
    space = memory()
    cells, reader = writer(space), Cells(space)
    cells.add("a", (), count=1)
    assert [one.metric for one in reader.news()] == ["a"]
    assert list(reader.news()) == []
    cells.add("b", (), count=1)
    assert [one.metric for one in reader.news()] == ["b"]


def test_who_takes_over_goes_on_behind_what_stands_there() -> None:
    space = memory()
    cells = writer(space)
    cell = cells.add("a", ("x",), count=2)
    assert cell is not None
    cells.view[cell] = 7.0
    heir = Cells(space)
    assert heir.begin() == [Series("a", ("x",), cell)]
    further = heir.add("b", (), count=1)
    assert further == cell - 1
    assert heir.view[cell] == 7.0


def test_a_name_that_was_not_published_is_written_over() -> None:
    """As by a process that was killed between the two."""
    space = memory()
    cells = writer(space)
    end = space.cast("Q")[1]
    cells.add("half", (), count=1)
    space.cast("Q")[1] = end
    heir = writer(space)
    assert list(Cells(space).news()) == []
    heir.add("whole", (), count=1)
    assert [one.metric for one in Cells(space).news()] == ["whole"]


def test_new_cells_have_their_first_value() -> None:
    cells = writer(memory())
    cell = cells.add("a", (), count=2, first=9.0)
    assert cell is not None
    assert list(cells.view[cell : cell + 2]) == [9.0, 9.0]


def test_names_and_cells_never_meet() -> None:
    cells, added = writer(memory(512)), 0
    while (cell := cells.add("metric", (str(added),), count=2)) is not None:
        cells.view[cell] = cells.view[cell + 1] = -1.0
        added += 1
    assert added > 5
    heir = Cells(cells._bytes)
    assert [one.labels for one in heir.begin()] == [(str(number),) for number in range(added)]


@pytest.mark.parametrize("label", ["", 'ö\n"', "a\x00b", "\ud800", "x" * 300])
def test_every_label_comes_through_as_one_label(label: str) -> None:
    space = memory()
    writer(space).add("a", (label, "next"), count=1)
    (series,) = Cells(space).news()
    shown = label.replace("\x00", "?").encode("utf-8", "replace").decode()
    assert series.labels == (shown, "next")


def test_another_layout_is_not_read() -> None:
    space = memory()
    writer(space).add("a", (), count=1)
    space.cast("Q")[0] = LAYOUT + 1
    with pytest.raises(ValueError, match="another version"):
        list(Cells(space).news())
