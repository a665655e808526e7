"""Alerts in the schema."""

from typing import Self

import strawberry

from llm_service.api.graphql.enums import AlertStateWord, SeverityWord
from llm_service.api.graphql.scalars import Moment
from llm_service.services import AlertSeen


@strawberry.type(name="AlertLabel", description="One label of an alert.")
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
            labels=[AlertLabel(name=name, value=value) for name, value in sorted(alert.labels.items())],
            severity=SeverityWord(alert.severity),
            state=AlertStateWord(alert.state),
            since=Moment(alert.since),
            fired_at=None if alert.fired_at is None else Moment(alert.fired_at),
            value=alert.value,
            summary=alert.summary,
            silenced_by=[strawberry.ID(one) for one in seen.silenced_by],
            notify=list(alert.notify),
        )
