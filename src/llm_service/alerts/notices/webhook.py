"""Notices in the form of Alertmanager's webhook, version 4, so that what receives its notices receives ours."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from llm_service.alerts.notice import Firing, Notice
from llm_service.alerts.notices.post import Poster, check
from llm_service.alerts.notices.text import state_of
from llm_service.alerts.rule import RUNBOOK
from llm_service.domain import Secret
from llm_service.runtime import Clock

MOST_ALERTS: Final = 100
NOT_ENDED: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: what Alertmanager writes for an alert that has not ended."""
_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3


class WebhookNotifier:
    """Posts notices as JSON. With a secret each is signed, so that the receiver knows who sent it, and when."""

    def __init__(
        self, name: str, poster: Poster, *, headers: Mapping[str, str], secret: Secret | None, clock: Clock
    ) -> None:
        self._name = name
        self._poster = poster
        self._headers = {header.lower(): value for header, value in headers.items()}
        self._secret = secret
        self._clock = clock

    async def deliver(self, notice: Notice) -> None:
        """Post the notice. Raises NoticeFailed."""
        body = orjson.dumps(webhook_body(notice, receiver=self._name))
        answer = await self._poster.post(body, {**self._headers, **self._signature(body)})
        check(answer, self._poster.host)

    def _signature(self, body: bytes) -> Mapping[str, str]:
        if self._secret is None:
            return {}
        timestamp = str(int(self._clock.time()))
        return {"x-llm-timestamp": timestamp, "x-llm-signature": f"sha256={signed(self._secret, timestamp, body)}"}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._poster.aclose()


def signed(secret: Secret, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256, in hexadecimal, of the Unix seconds, a dot and the body."""
    return hmac.digest(secret.reveal().encode(), timestamp.encode() + b"." + body, hashlib.sha256).hex()


def webhook_body(notice: Notice, *, receiver: str) -> dict[str, Any]:
    """The notice as Alertmanager would post it.

    Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config. Our rule is the label
    ``alertname``. Of a group with more than a hundred alerts the first hundred are told.
    """
    alerts = [_alert(alert, notice) for alert in notice.alerts[:MOST_ALERTS]]
    rules = {_encodable(alert.rule) for alert in notice.alerts}
    return {
        "version": "4",
        "groupKey": _encodable(notice.group),
        "truncatedAlerts": len(notice.alerts) - len(alerts),
        "status": notice.status,
        "receiver": receiver,
        "groupLabels": {"alertname": rules.pop()} if len(rules) == 1 else {},
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": "",
        "alerts": alerts,
    }


def _alert(alert: Firing, notice: Notice) -> dict[str, Any]:
    named = {"instance": notice.instance, **alert.labels, "alertname": alert.rule, "severity": notice.severity}
    labels = {_encodable(name): _encodable(value) for name, value in named.items()}
    annotations = {"summary": _encodable(alert.summary)}
    if alert.value is not None:
        annotations["value"] = f"{alert.value:g}"
    if alert.rule in RUNBOOK:
        annotations["runbook"] = RUNBOOK[alert.rule]
    return {
        "status": state_of(alert),
        "labels": labels,
        "annotations": annotations,
        "startsAt": _rfc3339(alert.since),
        "endsAt": NOT_ENDED if alert.resolved_at is None else _rfc3339(alert.resolved_at),
        "generatorURL": "",
        "fingerprint": fingerprint(labels),
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """Sixteen hexadecimal digits that are the same for the same labels: FNV-1a, as Prometheus has it.

    Source: https://github.com/prometheus/common/blob/main/model/signature.go.
    """
    hashed = _FNV_OFFSET
    for name in sorted(labels):
        for byte in b"%b\xff%b\xff" % (name.encode(), labels[name].encode()):
            hashed = (hashed ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return f"{hashed:016x}"


def _common(all_pairs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The pairs that all have."""
    if not all_pairs:
        return {}
    first, *others = all_pairs
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _encodable(text: str) -> str:
    """Without lone surrogates, which a label that came in a header may have."""
    return text.encode("utf-8", "replace").decode()


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


__all__ = ["WebhookNotifier", "fingerprint", "signed", "webhook_body"]
