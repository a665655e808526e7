"""The fact of a request that has ended: each of its fields has what the exchange knows of it."""

from types import SimpleNamespace
from typing import Any

from llm_service.domain import Candidate, Outcome
from llm_service.observability import RequestFinished, Said, Trace
from llm_service.pipeline.observe import finished

OUTCOME = Outcome(status="ok")
TRACE = Trace(None, None, "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 1)


def exchange(**changed: Any) -> Any:
    """One whose every fact differs from all others."""
    facts = {
        "id": "req_1",
        "stream_id": "str_1",
        "surface": "rest",
        "request": SimpleNamespace(model="fast", stream=True),
        "sent": "the request without what was masked",
        "verdicts": ["found"],
        "caller": SimpleNamespace(key_id="key_1"),
        "candidate": Candidate(provider="deepseek", upstream_model="deepseek-flash"),
        "order": (0,),
        "record": SimpleNamespace(saved_nano_usd=7),
        "saved_nano_usd": 8,
        "admitted": SimpleNamespace(held=SimpleNamespace(lease="the lease")),
        "tries": ["one", "two"],
        "received_at": 1000.0,
        "head_at": 1000.25,
        "marks": [1000.1],
        "cache": "miss",
        "queue_s": 0.125,
    }
    return SimpleNamespace(**{**facts, **changed})


def test_every_field_has_what_it_is_named_after() -> None:
    one, said = exchange(), Said(prompt="asked", answer="answered")
    assert finished(one, OUTCOME, 1002.0, TRACE, said=said) == RequestFinished(
        request_id="req_1",
        stream_id="str_1",
        surface="rest",
        key_id="key_1",
        model="fast",
        provider="deepseek",
        upstream_model="deepseek-flash",
        stream=True,
        first_content_ms=250.0,
        duration_ms=2000.0,
        outcome=OUTCOME,
        attempts=2,
        cache="miss",
        record=one.record,
        saved_nano_usd=7,
        tries=one.tries,
        lease="the lease",  # type: ignore[arg-type]
        received_at=1000.0,
        marks=one.marks,
        head_at=1000.25,
        queue_s=0.125,
        trace_id=TRACE.trace_id,
        trace=TRACE,
        request=one.sent,
        said=said,
        verdicts=one.verdicts,
    )


def test_of_a_refused_request_little_is_known() -> None:
    nobody = exchange(
        request=SimpleNamespace(model=None, stream=False),
        order=(),
        record=None,
        head_at=None,
        admitted=SimpleNamespace(held=None),
        tries=[],
    )
    fact = finished(nobody, OUTCOME, 1000.0)
    unknown = (fact.stream_id, fact.provider, fact.upstream_model, fact.first_content_ms, fact.record, fact.lease)
    assert unknown == (None,) * 6
    assert (fact.attempts, fact.saved_nano_usd, fact.trace_id, fact.said) == (0, 8, None, None)
