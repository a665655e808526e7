"""What is wrong with filters is told with its place; what is right says all that was meant."""

from pathlib import Path

import pytest

from tests.unit.config.conftest import Configured

HOOK = "http://127.0.0.1:9/x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{type: keyword}", "filters[0].type must be"),
        ("{type: keywords}", "filters[0].words or words_file must be set for a filter of the type keywords"),
        ("{type: keywords, words_file: none.txt}", "filters[0].words_file cannot be read: No such file or directory"),
        ("{type: keywords, words_file: empty.txt}", "filters[0].words_file has no words"),
        ("{type: keywords, words: ['  ']}", "filters[0].words cannot be used: "),
        ("{type: regex}", "filters[0].patterns must be set for a filter of the type regex"),
        ("{type: regex, patterns: ['a(?=b)']}", "filters[0].patterns cannot be used: "),
        ("{type: regex, patterns: [a], words: [b]}", "filters[0].words means nothing to a filter of the type regex"),
        ("{type: pii, threshold: 0.5}", "filters[0].threshold means nothing to a filter of the type pii, which takes"),
        ("{type: regex, patterns: [a], timeout_s: 3}", "filters[0].timeout_s means nothing to a filter of the type"),
        ("{type: prompt_injection, action: mask}", "filters[0].action cannot be mask: a filter of the type"),
        ("{type: allowed_models, allowed: [a], action: mask}", "filters[0].action cannot be mask"),
        (f"{{type: moderation, url: '{HOOK}', action: mask}}", "filters[0].action cannot be mask"),
        ("{type: prompt_injection, on: [output]}", "filters[0].on cannot be output: a filter of the type"),
        ("{type: allowed_models}", "filters[0].allowed must be set for a filter of the type allowed_models"),
        ("{type: allowed_topics, model: openai/x}", "filters[0].topics must be set"),
        ("{type: moderation}", "filters[0].model or url must be set for a filter of the type moderation, and not both"),
        (f"{{type: moderation, model: openai/x, url: '{HOOK}'}}", "filters[0].model or url must be set"),
        ("{type: moderation, model: openai/x, headers: {a: b}}", "filters[0].headers goes with url"),
        ("{type: moderation, model: nobody}", "filters[0].model is neither a name of models nor provider/model of a"),
        ("{type: moderation, model: openai/omni-moderation-latest}", "filters[0].model answers at an address of its"),
        ("{type: moderation, url: 'http://u:p@127.0.0.1/'}", "filters[0].url must not carry credentials"),
        ("{type: regex, patterns: [a], reversible: true}", "filters[0].reversible goes with action: mask"),
        (
            "{type: regex, patterns: [a], reversible: true, action: mask, on: [output]}",
            "filters[0].reversible goes with input among on",
        ),
        ("{type: pii, entities: [email], countries: [DE]}", "filters[0].countries goes with national_id among"),
        ("{type: regex, patterns: [a]}, {type: regex, patterns: [b]}", "filters[1].name is regex, as another filter"),
        (
            "{type: regex, name: a, patterns: [a]}, {type: regex, name: a, patterns: [b]}",
            "filters[1].name is a, as another filter is called already",
        ),
        ("{type: regex, name: 'a b', patterns: [a]}", "filters[0].name must be a name of letters, digits"),
    ],
)
def test_a_mistake_is_told_with_its_place(configured: Configured, text: str, message: str) -> None:
    (configured.folder / "empty.txt").write_text("\n \n", encoding="utf-8")
    head = "providers: {openai: {kind: openai_compatible, base_url: 'http://127.0.0.1:9/v1'}}\n"
    (mistake,) = configured.mistakes(f"{head}filters: [{text}]")
    assert mistake.startswith("llm-service.yaml:2:")
    assert message in mistake


def test_a_file_of_words_is_relative_to_the_file_of_settings(configured: Configured) -> None:
    (configured.folder / "words.txt").write_text("one\ntwo words\n", encoding="utf-8")
    (options,) = configured.settings("filters: [{type: keywords, words_file: words.txt, keys: [a]}]").filters
    assert options.words_file == Path(configured.folder / "words.txt")
    assert (options.called, options.sides, options.keys) == ("keywords", ("input", "output"), ("a",))


def test_filters_come_from_the_environment_as_well(configured: Configured) -> None:
    given = '[{"type": "regex", "patterns": ["a"], "on": ["output"]}]'
    (options,) = configured.settings(environ={"LLM_SERVICE_FILTERS": given}).filters
    assert (options.type, options.patterns, options.on) == ("regex", ("a",), ("output",))
