"""A pattern of the settings can be used, or is refused with a reason; then its time is linear, whatever it is."""

from llm_service.filters import FilterOptions, Text, build_filter


def one(data: bytes) -> None:
    """``data``: a pattern, and below it a text."""
    pattern, _, text = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        made = build_filter(FilterOptions(type="regex", patterns=(pattern,)))
    except ValueError as refused:
        assert str(refused)
        return
    for raw in (text, text * 20):
        for match in made.detector.find(Text(raw)):
            assert 0 <= match.begin < match.end <= len(raw)
        assert 0 <= made.detector.open_from(Text(raw)) <= len(raw)
