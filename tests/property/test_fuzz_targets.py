"""The targets of scripts/fuzz hold for their corpus, which keeps what was found, and for some of what grows of it."""

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from fuzz.__main__ import CORPUS, main
from fuzz.campaign import campaign, smaller
from fuzz.mutation import MOST_BYTES, Mutator
from fuzz.targets import TARGETS
from llm_service.domain import InvalidValue, cache_control

GROWN = 60


def seeds(name: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_shows_a_defect(name: str) -> None:
    inputs = seeds(name)
    mutator = Mutator(inputs, Random(8))
    assert len(inputs) >= 2
    for data in (*inputs, *(mutator.mutated(inputs) for _ in range(GROWN))):
        TARGETS[name](data)


def test_every_corpus_has_its_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)


def fragile(data: bytes) -> None:
    """A reader with a defect behind two conditions, of which the second one shows only who has met the first."""
    if data.startswith(b"id:") and b"\0" in data:
        raise ZeroDivisionError


def test_a_planted_defect_is_found_and_made_small() -> None:
    result = campaign(fragile, [b"name: value\nid: 7\n"], seconds=30, dice=Random(1), patience_s=None)
    assert result.finding is not None
    assert isinstance(result.finding.error, ZeroDivisionError)
    assert sorted(result.finding.data) == sorted(b"id:\0")


def test_what_fails_in_another_way_is_not_taken_for_the_same() -> None:
    def two(data: bytes) -> None:
        if b"b" in data:
            raise ValueError
        if b"a" in data:
            raise KeyError

    assert smaller(two, b"xxaxxbxx", KeyError(), patience_s=None) == b"a"


def test_inputs_that_reach_new_lines_are_kept() -> None:
    def read(data: bytes) -> None:
        with suppress(InvalidValue):
            cache_control(data.decode("latin-1"))

    result = campaign(read, [b"", b"no-cache, max-age=1"], seconds=30, runs=400, dice=Random(3), patience_s=None)
    assert result.finding is None
    assert result.kept
    assert result.runs == 400


def test_the_same_seed_makes_the_same_inputs_within_the_bound() -> None:
    pool = [b"a" * MOST_BYTES, b"word: value"]

    def made() -> list[bytes]:
        mutator = Mutator(pool, Random(5))
        return [mutator.mutated(pool) for _ in range(50)]

    assert made() == made()
    assert max(map(len, made())) <= MOST_BYTES


def test_the_command_names_its_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(TARGETS)
    assert main(["nothing"]) == 2


def test_one_file_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fuzz.__main__.TARGETS", {"sse": fragile})
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(b"id:")
    bad.write_bytes(b"id:\0")
    assert main(["sse", "--input", str(good)]) == 0
    assert main(["sse", "--input", str(bad)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
