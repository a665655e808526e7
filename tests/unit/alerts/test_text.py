"""What notices say, in each form."""

import hashlib
import hmac
import json
import re
from datetime import timedelta
from email.parser import BytesParser
from email.policy import SMTP
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_service.alerts.notices.email import mail_of
from llm_service.alerts.notices.slack import slack_body
from llm_service.alerts.notices.text import title
from llm_service.alerts.notices.webhook import fingerprint, signed, webhook_body
from llm_service.domain import Secret
from tests.support.notices import AT, a_notice, an_alert

DOCUMENT = Path(__file__).parents[3] / "docs" / "notices.md"
RESOLVED = an_alert(resolved_at=AT)
NASTY = "a\r\nBcc: x@example.com\u202e<!channel> <b>&</b>\ud800"


@pytest.mark.parametrize(
    ("notice", "expected"),
    [
        (a_notice(), "[FIRING:1] provider_down (critical) on gateway-1"),
        (a_notice(an_alert(), RESOLVED), "[FIRING:1] provider_down (critical) on gateway-1"),
        (a_notice(an_alert(), an_alert(rule="cost")), "[FIRING:2] provider_down and 1 more (critical) on gateway-1"),
        (a_notice(RESOLVED, RESOLVED, status="resolved"), "[RESOLVED:2] provider_down (critical) on gateway-1"),
    ],
)
def test_a_title_counts_what_fires(notice, expected) -> None:
    assert title(notice) == expected


def test_a_webhook_is_told_where_it_is_written_what_to_do_about_a_rule_of_ours() -> None:
    (alert,) = webhook_body(a_notice(an_alert(rule="store-down")), receiver="ops")["alerts"]
    assert alert["annotations"]["runbook"] == "docs/operations/runbook.md#store-down"


def test_a_webhook_gets_what_alertmanager_sends() -> None:
    body = json.loads(orjson.dumps(webhook_body(a_notice(an_alert(), RESOLVED), receiver="ops")))
    labels = {
        "alertname": "provider_down",
        "severity": "critical",
        "instance": "gateway-1",
        "provider": "deepseek",
    }
    annotations = {"summary": an_alert().summary, "value": "1"}
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": "2026-11-23T11:55:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": fingerprint(labels),
    }
    assert body == {
        "version": "4",
        "groupKey": "provider_down",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "ops",
        "groupLabels": {"alertname": "provider_down"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [alert, {**alert, "status": "resolved", "endsAt": "2026-11-23T12:00:00.000Z"}],
    }


def test_common_labels_are_those_that_all_alerts_have() -> None:
    body = webhook_body(a_notice(an_alert(), an_alert(rule="cost", labels={"provider": "x"})), receiver="ops")
    assert body["commonLabels"] == {"instance": "gateway-1", "severity": "critical"}
    assert body["groupLabels"] == {}


def test_a_webhook_of_a_large_group_says_how_many_are_left_out() -> None:
    body = webhook_body(a_notice(*[an_alert()] * 130), receiver="ops")
    assert (len(body["alerts"]), body["truncatedAlerts"]) == (100, 30)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, 14695981039346656037),
        ({"name": "garland, briggs", "fear": "love is not enough"}, 5799056148416392346),
        ({"second-label": "second-label-value", "first-label": "first-label-value"}, 3195800080984914717),
    ],
)
def test_a_fingerprint_is_that_of_prometheus(labels, expected) -> None:
    """Examples of https://github.com/prometheus/common/blob/main/model/signature_test.go."""
    assert fingerprint(labels) == f"{expected:016x}"


def test_a_signature_is_over_the_moment_and_the_body() -> None:
    expected = hmac.new(b"s", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signed(Secret("s"), "1700000000", b'{"a":1}') == expected


def test_the_documented_check_of_a_signature_holds() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    is_genuine = names["is_genuine"]
    signature = f"sha256={signed(Secret('s'), '1700000000', b'{}')}"
    assert is_genuine("s", "1700000000", signature, b"{}", 1700000010.0)
    assert not is_genuine("s", "1700000000", signature, b"{}", 1700000310.0)
    assert not is_genuine("s", "1700000000", signature, b"{ }", 1700000010.0)
    assert not is_genuine("t", "1700000000", signature, b"{}", 1700000010.0)


def test_slack_gets_a_headline_two_lines_for_each_alert_and_a_fallback() -> None:
    body = slack_body(a_notice(an_alert(), RESOLVED))
    header, first, second, context = body["blocks"]
    assert header["text"] == {
        "type": "plain_text",
        "text": "[FIRING:1] provider_down (critical) on gateway-1",
        "emoji": False,
    }
    assert first["text"]["text"] == (
        ":rotating_light: deepseek is down: no request of the last minute succeeded\n"
        "provider=deepseek · since 2026-11-23 11:55:00 UTC"
    )
    assert second["text"]["text"].endswith("provider=deepseek · 2026-11-23 11:55:00 UTC to 2026-11-23 12:00:00 UTC")
    assert context["elements"][0]["text"] == "2026-11-23 12:00:00 UTC"
    assert body["text"].startswith("[FIRING:1] provider_down (critical) on gateway-1\n:rotating_light: deepseek is")


def test_slack_gets_no_more_than_it_takes() -> None:
    """At most 50 blocks, 3000 characters in a section, 150 in a header."""
    long = an_alert(rule="r" * 500, summary="&" * 5000, labels={"model": "<" * 5000})
    body = slack_body(a_notice(*[long] * 60))
    assert len(body["blocks"]) == 13
    assert body["blocks"][-2]["text"]["text"] == "and 50 more"
    assert len(body["blocks"][0]["text"]["text"]) == 150
    assert max(len(block["text"]["text"]) for block in body["blocks"][1:-1]) <= 3000


def test_what_a_client_named_makes_no_mention_in_slack() -> None:
    body = slack_body(a_notice(an_alert(summary=NASTY, labels={"model": "<@U1>"}), severity="<!here>"))
    assert "<" not in json.dumps({**body, "blocks": body["blocks"][1:]})  # the header is no markup


def test_a_label_cannot_break_any_form() -> None:
    nasty = a_notice(an_alert(rule=NASTY, summary=NASTY, labels={"model": NASTY}), group=NASTY, severity=NASTY)
    assert orjson.dumps(webhook_body(nasty, receiver="ops"))
    assert orjson.dumps(slack_body(nasty))
    assert mail_of(nasty, sender="a@example.com", to=("b@example.com",)).as_bytes()


def parsed(notice, **other):
    mail = mail_of(notice, **{"sender": "llm@example.com", "to": ("a@example.com", "b@example.com"), **other})
    raw = mail.as_bytes()
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return BytesParser(policy=SMTP).parsebytes(raw)


def test_mail_says_that_a_machine_has_sent_it() -> None:
    mail = parsed(a_notice())
    assert mail["Subject"] == "[FIRING:1] provider_down (critical) on gateway-1"
    assert (mail["From"], mail["To"]) == ("llm@example.com", "a@example.com, b@example.com")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == AT
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.com>", mail["Message-ID"])


def test_mails_of_a_group_are_one_conversation_and_each_attempt_is_the_same_mail() -> None:
    first, again = parsed(a_notice()), parsed(a_notice())
    later = parsed(a_notice(RESOLVED, status="resolved", at=AT + timedelta(minutes=1)))
    assert first["Message-ID"] == again["Message-ID"] != later["Message-ID"]
    assert first["References"] == later["References"]
    assert first["References"] != parsed(a_notice(group="cost"))["References"]


def test_mail_is_plain_and_minimal_html() -> None:
    mail = parsed(a_notice(an_alert(summary="é <b>down</b>"), *[RESOLVED] * 60))
    plain = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    html = mail.get_body(("html",)).get_content()
    assert "FIRING provider_down\né <b>down</b>\nprovider=deepseek\nsince 2026-11-23 11:55:00 UTC" in plain
    assert "and 11 more" in plain
    assert "é &lt;b&gt;down&lt;/b&gt;" in html
    assert "and 11 more" in html
    assert not re.search("<(script|img|link|style)|http", html)


def test_no_header_comes_in_by_a_label() -> None:
    mail = parsed(a_notice(an_alert(rule=NASTY), severity=NASTY, instance=NASTY))
    assert mail["Bcc"] is None
    assert "Bcc: x@example.com" in mail["Subject"]
