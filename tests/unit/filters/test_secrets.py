"""Secrets of every known form are found wherever they stand, and what only looks like one is not."""

import random
from pathlib import Path
from time import process_time

import pytest

from llm_service.filters import FilterOptions, Text
from llm_service.filters.secrets import secret_detector
from llm_service.filters.secrets.checks import github
from tests.support.secret_forms import ALONE, filled_corpus, label_of, secret
from tests.support.timed import within

DETECTOR = secret_detector(FilterOptions(type="secrets"))
WITH_ENTROPY = secret_detector(FilterOptions(type="secrets", entropy=True))
CORPUS = filled_corpus(Path(__file__).parents[2] / "corpora/filters/secrets.json")
AROUND = [("", ""), ("see ", " there"), ('{"a":"', '"}'), ("ключ:", "。"), ("(", "),"), ("x=", "\n\n"), ("<", ">")]


def found(text: str, *, entropy: bool = False) -> list[str]:
    detector = WITH_ENTROPY if entropy else DETECTOR
    return [text[match.begin : match.end] for match in detector.find(Text(text))]


@pytest.mark.parametrize("form", ALONE)
def test_a_secret_is_found_whole_and_by_its_label(form: str) -> None:
    dice = random.Random(form)
    for before, after in AROUND:
        value = secret(form, dice)
        places = [tuple(match) for match in DETECTOR.find(Text(before + value + after))]
        assert (len(before), len(before) + len(value), label_of(form)) in places


def test_the_corpus_is_told_apart() -> None:
    secrets = [row for row in CORPUS if row["finds"]]
    harmless = [row for row in CORPUS if not row["finds"]]
    missed = [row["text"] for row in secrets if labels(row) != sorted(row["finds"])]
    wrong = [row["text"] for row in harmless if labels(row)]
    assert len(secrets) >= 150
    assert len(harmless) >= 150
    assert missed == []
    assert wrong == []


def labels(row: dict[str, object]) -> list[str]:
    return sorted(match.label for match in DETECTOR.find(Text(str(row["text"]))))


def test_a_changed_github_token_is_none() -> None:
    token = secret("github", random.Random(1))
    changed = token[:10] + ("A" if token[10] != "A" else "B") + token[11:]
    assert found(f"see {token}") == [token]
    assert found(f"see {changed}") == []


def test_the_checksum_is_that_of_github() -> None:
    published = "ghp_" + "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ" + "0mLq17"  # of the announcement of the form
    assert github(published, 0, len(published)) == len(published)


def test_the_secret_of_an_aws_key_is_found_by_the_id_before_it() -> None:
    dice = random.Random(2)
    key, value = secret("aws_id", dice), secret("aws_secret", dice)
    assert found(f"{key} {value}") == [key, value]
    assert found(f"other {value}") == []


def test_the_header_line_of_a_private_key_is_enough() -> None:
    assert found("so:\n-----BEGIN RSA PRIVATE KEY-----\n") == ["-----BEGIN RSA PRIVATE KEY-----\n"]
    assert found("it begins with -----BEGIN RSA PRIVATE KEY----- as ever") == []


def test_what_is_allowed_is_no_find() -> None:
    value, other = (secret("openrouter", random.Random(seed)) for seed in (3, 4))
    detector = secret_detector(FilterOptions(type="secrets", allow=(value.upper(),)))
    text = f"{value} {other}"
    assert [text[match.begin : match.end] for match in detector.find(Text(text))] == [other]


def test_random_strings_are_finds_on_demand() -> None:
    dice = random.Random(5)
    made = ["".join(dice.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=32)) for _ in range(200)]
    assert [value for value in made if found(value)] == []
    assert len([value for value in made if found(f"see {value}.", entropy=True) == [value]]) >= 195


@pytest.mark.parametrize(
    "text",
    [
        "550e8400-e29b-41d4-a716-446655440000",
        "9fceb02d0ae598e95dc970b74767f19372d61af8",
        "ThisIsAVeryLongCamelCaseName2",
        "a-long-file-name-of-2024-with-many-words-v2",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB",
    ],
)
def test_random_strings_are_not_ids_digests_names_or_pictures(text: str) -> None:
    assert found(text, entropy=True) == []


def test_a_private_key_is_one_find_though_its_lines_look_random() -> None:
    assert len(found(secret("pem", random.Random(6)), entropy=True)) == 1


@pytest.mark.timed
@pytest.mark.parametrize(
    "part",
    [
        "sk-",
        "sk-a1B2",
        "eyJhbGciOiJIUzI1NiJ9.eyJ",
        "password=",
        "a://b:c@",
        "AKIA" + "ABCDEFGH2345MNOP ",
        "-----BEGIN PRIVATE KEY-----\n",
        "A1b2",
        "\ud800",
        "?=",
        "Basic QWxhZGRpbjpvcGVu ",
        "Bearer ",
        "0a1b2c3d4e5f60718293a4b5c6d7e8f9 ",
        "AC0a1b2c3d4e5f60718293a4b5c6d7e8f9 ",
    ],
)
def test_hostile_texts_take_linear_time(part: str) -> None:
    text = Text((part * 200_000)[:200_000])
    begun = process_time()
    DETECTOR.find(text)
    DETECTOR.open_from(text)
    within(process_time() - begun, 1)
