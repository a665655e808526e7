"""The audit log in the schema."""

from collections.abc import Mapping
from typing import Self

import strawberry

from llm_service.api.graphql.enums import ActDoorWord, ActOutcomeWord
from llm_service.api.graphql.pages import PageInfo
from llm_service.api.graphql.scalars import Moment
from llm_service.services import moment_text, read_audit_filter
from llm_service.storage import AuditEntry, AuditFilter


@strawberry.input(name="AuditFilter", description="Which entries; what is left out lets all through.")
class AuditFilterInput:
    since: Moment | None = strawberry.field(default=None, description="Acts of then or later.")
    until: Moment | None = strawberry.field(default=None, description="Acts from before.")
    act: str | None = strawberry.field(default=None, description="Such as `key.revoke`.")
    key_id: strawberry.ID | None = None
    subject: str | None = None
    outcome: ActOutcomeWord | None = None
    door: ActDoorWord | None = None


@strawberry.type(name="AuditEntry", description="What an operator did or was refused, or several refusals of one kind.")
class AuditEntryType:
    id: strawberry.ID
    at: Moment = strawberry.field(description="When; of several, the last one.")
    key_id: strawberry.ID | None = strawberry.field(
        description="Who: the api key's, `admin`, `local` or `shell`; null: nobody that is known."
    )
    key_name: str | None = strawberry.field(description="What the key was called then.")
    peer: str | None = strawberry.field(description="The address that it came from; behind a proxy the proxy's.")
    door: ActDoorWord
    act: str = strawberry.field(description="Such as `key.revoke`; `*`: refusals of many kinds.")
    subject: str | None = strawberry.field(description="What it was done to: an id, or a name.")
    fields: list[str] = strawberry.field(description="The names of what was given; never the values.")
    outcome: ActOutcomeWord
    error_code: str | None = strawberry.field(description="Why it was not done.")
    request_id: strawberry.ID | None
    times: int = strawberry.field(description="How many of its kind the entry stands for: refusals, or lost entries.")

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """As it is kept."""
        plain = "key_name peer act subject error_code times".split()
        return cls(
            id=strawberry.ID(entry.id),
            at=Moment(entry.at),
            key_id=None if entry.key_id is None else strawberry.ID(entry.key_id),
            door=ActDoorWord(entry.door),
            fields=[*entry.fields],
            outcome=ActOutcomeWord(entry.outcome),
            request_id=None if entry.request_id is None else strawberry.ID(entry.request_id),
            **{name: getattr(entry, name) for name in plain},
        )


@strawberry.type
class AuditEntryEdge:
    cursor: str
    node: AuditEntryType


@strawberry.type(description="What operators did, newest first.")
class AuditEntryConnection:
    edges: list[AuditEntryEdge]
    page_info: PageInfo


def audit_filter_of(given: AuditFilterInput | None) -> AuditFilter:
    """Which entries. Raises InvalidValue."""
    if given is None:
        return AuditFilter()
    texts: Mapping[str, str | None] = {
        "since": moment_text(given.since),
        "until": moment_text(given.until),
        "act": given.act,
        "key_id": given.key_id,
        "subject": given.subject,
        "outcome": given.outcome and given.outcome.value,
        "door": given.door and given.door.value,
    }
    return read_audit_filter({name: text for name, text in texts.items() if text is not None})
