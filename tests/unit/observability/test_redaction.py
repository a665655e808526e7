"""What no log line shows, whatever it was asked to say."""

import io
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_service.domain import MASK, Secret
from llm_service.observability import ObservabilityOptions, Redaction, build_log
from llm_service.observability.redaction import SECRET_NAMES
from tests.support.clock import ManualClock
from tests.support.timed import within

KEYS = (
    "sk-proj-0123456789abcdefghij",
    "sk-or-v1-0123456789abcdefghij",
    "sk_live_0123456789abcdefghij",
    "llms_0123456789abcdefghij",
    "gsk_0123456789abcdefghij",
    "hf_0123456789abcdefghij",
    "AIzaSyA0123456789abcdefghij",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "eyAiYWxnIjoiSFMyNTYifQ.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "ewogImFsZyI6IkVTMjU2In0.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def raised(message: str) -> ValueError:
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


class Shown:
    def __str__(self) -> str:
        return "a client with the key sk-or-v1-0123456789abcdefghij"


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key_is_masked_wherever_it_stands(key: str) -> None:
    redaction = Redaction()
    for text in (key, f"a {key}.", f'{{"key":"{key}"}}', f"?key={key}&x=1", f"({key})"):
        assert key not in redaction.text(text)


def test_credentials_of_headers_and_addresses_are_masked_and_the_rest_stays_readable() -> None:
    redaction = Redaction()
    assert (
        redaction.text("authorization: Bearer abc.def-123456 was refused")
        == f"authorization: Bearer {MASK} was refused"
    )
    assert redaction.text("redis://user:hunter2@db:6379/0 is away") == f"redis://user:{MASK}@db:6379/0 is away"


@pytest.mark.parametrize(
    "text",
    [
        "Send a valid key as Authorization: Bearer or x-api-key.",
        "a task-force that is disk-bound",
        "https://api.deepseek.com:443/v1 does not answer",
        "key_0675fd8a4aa94acc3cd1e26eb8 of req_0675fd8a4aa94acc3cd1e26eb8",
    ],
)
def test_words_that_are_no_secrets_stay(text: str) -> None:
    assert Redaction().text(text) == text


def test_known_secrets_are_masked_without_any_form_and_where_their_end_is_shown() -> None:
    redaction = Redaction([Secret("correct-horse-battery"), Secret("correct-horse"), Secret("tiny")])
    assert redaction.text("correct-horse-battery correct-horse ...-battery tiny") == f"{MASK} {MASK} ...{MASK} tiny"


def test_of_an_address_the_passwords_are_masked_and_hosts_and_databases_stay_readable() -> None:
    redaction = Redaction(
        [
            Secret("postgresql://llm:p%40ss-word/1@db.internal:5432/llm_service?sslpassword=second-word"),
            Secret("redis://valkey.internal:6379/0"),
            Secret("https://hooks.slack.com/services/T0000/B0000/XXXXXXXXXXXXXXXXXXXXXXXX"),
        ]
    )
    said = 'File "/app/llm_service/x.py": db.internal:5432/llm_service and valkey.internal:6379/0 are away'
    assert redaction.text(said) == said
    assert redaction.text("p%40ss-word/1 p@ss-word/1 second-word") == f"{MASK} {MASK} {MASK}"
    assert redaction.text("POST /services/T0000/B0000/XXXXXXXXXXXXXXXXXXXXXXXX") == f"POST /services/T0000/B0000/{MASK}"


def test_a_header_is_masked_without_its_scheme_and_a_secret_in_the_form_of_json_as_well() -> None:
    redaction = Redaction([Secret("Bearer opaque-credential"), Secret('with"quotes"')])
    assert redaction.text("opaque-credential was refused") == f"{MASK} was refused"
    assert redaction.text(r'{"sent":"with\"quotes\""}') == f'{{"sent":"{MASK}"}}'


def test_secrets_of_new_settings_are_masked_from_then_on_and_those_of_former_ones_still() -> None:
    redaction = Redaction([Secret("former-horse")])
    assert redaction.often("a newer-battery") == "a newer-battery"
    redaction.learn([Secret("newer-battery")])
    assert redaction.often("a newer-battery") == f"a {MASK}"
    assert redaction.text("former-horse newer-battery") == f"{MASK} {MASK}"


@pytest.mark.timed
@pytest.mark.parametrize(
    "piece", ["-eyJaaaaaaaa", "-ewoaaaaaaaa", "eyJaaaaaaaa.", "bearer ", "://a:", "sk-", "https://u:p"]
)
def test_texts_that_nearly_look_like_keys_take_time_in_proportion_to_their_length(piece: str) -> None:
    def took_s(text: str) -> float:
        begun = time.process_time()
        Redaction().text(text)
        return time.process_time() - begun

    took_s(piece * 100)
    within(took_s(piece * 40_000), max(0.001, min(took_s(piece * 2_000) for _ in range(3))) * 200)


@pytest.mark.parametrize("name", [*sorted(SECRET_NAMES), "API_KEY", "Set-Cookie", "X-Api-Key"])
def test_what_has_a_secrets_name_is_masked_also_further_down(name: str) -> None:
    redaction = Redaction()
    assert redaction.facts({name: "x"}) == {name: MASK}
    assert redaction.facts({"headers": [{name: "x", "accept": "y"}]}) == {"headers": [{name: MASK, "accept": "y"}]}


def test_figures_and_names_that_only_sound_like_secrets_stay() -> None:
    facts = {"input_tokens": 3, "key_id": "key_1", "reserved_tokens": 4, "error_code": "invalid_api_key", "token": None}
    assert Redaction().facts(facts) == facts


def test_secrets_and_whatever_else_is_no_plain_value_are_shown_as_texts_without_keys() -> None:
    shown = Redaction().facts({"one": Secret("hunter22"), "two": Shown(), "three": ValueError(KEYS[0])})
    assert shown == {"one": MASK, "two": f"a client with the key {MASK}", "three": MASK}


@given(PLAIN, st.sampled_from(KEYS))
def test_no_line_shows_a_key_in_whatever_it_is_wrapped(value: Any, key: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    log = build_log(ObservabilityOptions(log_format="json"), clock=ManualClock(), stream=stream)
    log.info("event", value=value, wrapped=[{"deep": (value, {"deeper": f"<{key}>"})}], error=ValueError(key))
    raw = stream.buffer.getvalue()  # type: ignore[attr-defined]
    assert key.encode() not in raw
    assert raw.count(b"\n") == 1
    assert orjson.loads(raw)["event"] == "event"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_tracebacks_and_events_are_redacted_as_well(log_format: Any) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    redaction = Redaction([Secret("correct-horse-battery")])
    log = build_log(
        ObservabilityOptions(log_format=log_format), clock=ManualClock(), stream=stream, redaction=redaction
    )
    event = f"failed with {KEYS[1]}"
    log.error(event, exc_info=raised(f"{KEYS[0]} and correct-horse-battery"))
    said = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert "Traceback" in said
    assert not [key for key in (*KEYS, "correct-horse-battery") if key in said]
