"""The clients of a soak know what each answer must be, and whose fault a failure is."""

from itertools import islice
from types import SimpleNamespace
from typing import Any

from bench.workloads.support_assistant import Mix, requests_of

from tests.support.doors import Choice, Failure, Told
from tests.support.soak.load import Load, Sent, ended_by, worded

LIMIT = {"scope": "key", "kind": "requests"}


def judged(told: Told, text: str) -> Sent:
    sent = Sent("r1", "work", "rest-whole", 0.0)
    site: Any = SimpleNamespace()
    Load(site, 1.0)._judge(sent, told, text)
    return sent


def test_only_the_same_requests_of_the_workload_have_the_same_answer() -> None:
    answers: dict[str, set[str]] = {}
    for asked in islice(requests_of(Mix(), count=3_000, seed=1), 3_000):
        body, text = worded(asked)
        assert body["messages"][-1]["content"] == f"echo: {text}"
        answers.setdefault(text, set()).add(asked.same)
    assert len(answers) > 300
    assert {len(same) for same in answers.values()} == {1}


def test_an_answer_is_right_to_the_last_character_and_in_its_end() -> None:
    right = Told(choices={0: Choice(text="just so", finish_reason="stop")}, cache="hit", cost_usd="0")
    assert judged(right, "just so").ending == "ok"
    assert judged(right, "just so.").ending == "wrong"
    cut = Told(choices={0: Choice(text="just so", finish_reason="length")})
    assert judged(cut, "just so").ending == "wrong"


def test_a_failure_is_a_limit_s_a_provider_s_or_ours() -> None:
    assert ended_by(Failure(code="rate_limit_exceeded", limit=LIMIT)) == "limited"
    assert ended_by(Failure(code="upstream_timeout")) == "of provider"
    assert ended_by(Failure(code="internal_error")) == "refused"
    assert judged(Told(failure=Failure(code="overloaded")), "").code == "overloaded"
