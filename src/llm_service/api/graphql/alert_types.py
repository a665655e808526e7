"""Alerts and their history in the schema."""

from collections.abc import Mapping
from typing import Self

import strawberry

from llm_service.alerts import Event
from llm_service.api.graphql.enums import AlertStateWord, HappeningWord, SeverityWord
from llm_service.api.graphql.pages import PageInfo
from llm_service.api.graphql.scalars import Moment
from llm_service.services import AlertSeen


@strawberry.type(name="AlertLabel", description="One label of an alert, or of a notice.")
class AlertLabel:
    name: str
    value: str


@strawberry.type(name="Alert", description="A rule that holds: it fires, or will if it goes on.")
class AlertType:
    rule: str
    labels: list[AlertLabel] = strawberry.field(description="What it is about, such as which provider.")
    severity: SeverityWord
    state: AlertStateWord
    since: Moment = strawberry.field(description="From when on it holds.")
    fired_at: Moment | None = strawberry.field(description="Null: it has not held for long enough yet.")
    value: float = strawberry.field(description="What was measured, in the unit of the rule's kind.")
    summary: str = strawberry.field(description="What is wrong, and what to do.")
    silenced_by: list[strawberry.ID] = strawberry.field(description="Silences because of which nobody is told.")
    notify: list[str] = strawberry.field(description="The notifiers that are told.")

    @classmethod
    def of(cls, seen: AlertSeen) -> Self:
        alert = seen.alert
        return cls(
            rule=alert.rule,
            labels=_labels(alert.labels),
            severity=SeverityWord(alert.severity),
            state=AlertStateWord(alert.state),
            since=Moment(alert.since),
            fired_at=None if alert.fired_at is None else Moment(alert.fired_at),
            value=alert.value,
            summary=alert.summary,
            silenced_by=[strawberry.ID(one) for one in seen.silenced_by],
            notify=list(alert.notify),
        )


@strawberry.type(name="AlertEvent", description="Something that happened to an alert, or to a notice of some.")
class AlertEventType:
    id: strawberry.ID
    at: Moment
    happened: HappeningWord
    rule: str = strawberry.field(description="`*`: a notice of several rules.")
    labels: list[AlertLabel] = strawberry.field(description="Of a notice: its `group` and `status`.")
    severity: SeverityWord
    summary: str | None
    value: float | None = strawberry.field(description="What was measured, in the unit of the rule's kind.")
    notifier: str | None = strawberry.field(description="Who was told, or could not be.")
    rules: list[str] = strawberry.field(description="The rules of the alerts that a notice told of.")
    error: str | None = strawberry.field(description="Why a notice was not delivered.")

    @classmethod
    def of(cls, event: Event) -> Self:
        """As it was kept."""
        return cls(
            id=strawberry.ID(str(event.mark)),
            at=Moment(event.at),
            happened=HappeningWord(event.happened),
            rule=event.rule,
            labels=_labels(event.labels),
            severity=SeverityWord(event.severity),
            summary=event.summary,
            value=event.value,
            notifier=event.notifier,
            rules=list(event.alerts),
            error=event.error,
        )


@strawberry.type
class AlertEventEdge:
    cursor: str
    node: AlertEventType


@strawberry.type(description="What happened to alerts, newest first.")
class AlertEventConnection:
    edges: list[AlertEventEdge]
    page_info: PageInfo


def _labels(labels: Mapping[str, str]) -> list[AlertLabel]:
    return [AlertLabel(name=name, value=value) for name, value in sorted(labels.items())]
