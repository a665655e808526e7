"""A list that may be a single value: ``auth.hash_key``."""

import pytest

from llm_service.config import json_schema, rendered
from llm_service.domain import Secret
from tests.unit.config.conftest import Configured

ONE, TWO = "a" * 32, "b" * 64
VARIABLE = "LLM_SERVICE_AUTH__HASH_KEY"


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        (f"auth: {{hash_key: {ONE}}}", {}, [ONE]),
        (f"auth: {{hash_key: [{ONE}, {TWO}]}}", {}, [ONE, TWO]),
        ("auth: {hash_key: null}", {}, []),
        ("auth: {hash_key: '${GONE:-}'}", {}, []),
        ("auth: {hash_key: '${KEY}'}", {"KEY": TWO}, [TWO]),
        ("", {VARIABLE: ONE}, [ONE]),
        ("", {VARIABLE: f'["{ONE}", "{TWO}"]'}, [ONE, TWO]),
        (f"auth: {{hash_key: [{ONE}, {TWO}]}}", {VARIABLE: TWO}, [TWO]),
    ],
)
def test_a_single_value_is_a_list_of_it(
    configured: Configured, text: str, environ: dict[str, str], expected: list[str]
) -> None:
    settings = configured.settings(text, environ)
    assert settings.auth.hash_key == tuple(Secret(key) for key in expected)
    assert rendered(settings)["auth"]["hash_key"] == ["***"] * len(expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("auth: {hash_key: canary}", "auth.hash_key must be 32 to 512 visible ASCII characters"),
        (f"auth: {{hash_key: [{ONE}, canary]}}", "auth.hash_key[1] must be 32 to 512 visible ASCII characters"),
        (f"auth: {{hash_key: {{canary: {ONE}}}}}", "auth.hash_key must be a list"),
    ],
)
def test_what_is_neither_is_a_mistake_that_does_not_repeat_it(configured: Configured, text: str, said: str) -> None:
    (mistake,) = configured.mistakes(text)
    assert said in mistake
    assert "canary" not in mistake


def test_the_schema_takes_both() -> None:
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json_schema())
    assert all(validator.is_valid({"auth": {"hash_key": value}}) for value in (ONE, [ONE, TWO], [], None))
    assert not any(validator.is_valid({"auth": {"hash_key": value}}) for value in ("short", [[ONE]], {}, True))
