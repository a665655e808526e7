"""What can be read."""

import base64
from collections.abc import Mapping

import orjson
import strawberry

from llm_service.api.graphql.alert_types import AlertEventConnection, AlertEventEdge, AlertEventType, AlertType
from llm_service.api.graphql.audit_types import (
    AuditEntryConnection,
    AuditEntryEdge,
    AuditEntryType,
    AuditFilterInput,
    audit_filter_of,
)
from llm_service.api.graphql.chat_inputs import ChatInput
from llm_service.api.graphql.context import Info
from llm_service.api.graphql.enums import UsageGroupWord
from llm_service.api.graphql.explain_types import ExplanationType
from llm_service.api.graphql.explaining import explain_chat
from llm_service.api.graphql.key_types import ApiKeyConnection, ApiKeyEdge, ApiKeyType
from llm_service.api.graphql.pages import PAGE, PageInfo, count_of
from llm_service.api.graphql.provider_types import Health, Provider
from llm_service.api.graphql.scalars import Moment
from llm_service.api.graphql.state_types import (
    CacheStatsType,
    CallerType,
    LimitStateType,
    Model,
)
from llm_service.api.graphql.usage_sums import UsageSums
from llm_service.api.graphql.usage_types import (
    Generation,
    GenerationConnection,
    GenerationEdge,
    GroupValue,
    UsageEdge,
    UsageFilterInput,
    UsageGroupSums,
    UsageReport,
    filter_of,
)
from llm_service.domain import InvalidValue, ModelNotAllowed, NotFound, allows
from llm_service.services import moment_text, read_groups
from llm_service.storage import UsageSum


@strawberry.type
class Query:
    @strawberry.field(description="All models that the caller's key allows. Scope: inference.")
    async def models(self, info: Info) -> list[Model]:
        key = info.context.caller.key
        return [Model.of(entry) for entry in await info.context.models() if allows(key, entry.info.id)]

    @strawberry.field(description="One model; null where there is none of this name. Scope: inference.")
    async def model(self, info: Info, id: strawberry.ID) -> Model | None:  # noqa: A002 - the contract's word
        if not allows(info.context.caller.key, id):
            raise ModelNotAllowed(f"The api key may not use the model `{id[:200]}`.", param="id")
        try:
            return Model.of(await info.context.parts.models.get(id))
        except NotFound:
            return None

    @strawberry.field(description="Whom models are bought from.")
    def providers(self, info: Info) -> list[Provider]:
        return [Provider.of(seen) for seen in info.context.parts.providers.list()]

    @strawberry.field(description="One of them; null where there is none of this name.")
    def provider(self, info: Info, name: str) -> Provider | None:
        try:
            return Provider.of(info.context.parts.providers.get(name))
        except NotFound:
            return None

    @strawberry.field(description="How the process is.")
    async def health(self, info: Info) -> Health:
        parts = info.context.parts
        return Health.of(await parts.health.report(), parts.providers.list())

    @strawberry.field(description="Who asks.")
    def me(self, info: Info) -> CallerType:
        return CallerType.of(info.context.caller, info)

    @strawberry.field(
        description="The record of one request of the caller's own, or of any with the scope read or admin."
    )
    async def generation(self, info: Info, id: strawberry.ID) -> Generation | None:  # noqa: A002
        try:
            found = await info.context.parts.usage.generation(id, info.context.caller)
        except NotFound:
            return None
        return Generation.of(found.record, found.corrections)

    @strawberry.field(description="Records and corrections, newest first. Scope: read or admin.")
    async def generations(
        self,
        info: Info,
        filter: UsageFilterInput | None = None,  # noqa: A002 - the contract's word
        first: int | None = PAGE,
        after: str | None = None,
    ) -> GenerationConnection:
        page = await info.context.parts.usage.page(filter_of(filter), cursor=after, count=count_of(first))
        edges = [
            GenerationEdge(cursor=cursor, node=Generation.of(record))
            for cursor, record in zip(page.cursors, page.records, strict=True)
        ]
        return GenerationConnection(
            edges=edges, page_info=PageInfo.of(page.cursors, after=after, more=page.next_cursor is not None)
        )

    @strawberry.field(description="Sums of what was used. Scope: read or admin.")
    async def usage(
        self,
        info: Info,
        filter: UsageFilterInput | None = None,  # noqa: A002 - the contract's word
        group_by: list[UsageGroupWord] | None = None,
        first: int | None = PAGE,
        after: str | None = None,
    ) -> UsageReport:
        which, usage = filter_of(filter), info.context.parts.usage
        by, count = read_groups(",".join(one.value for one in group_by or ())), count_of(first)
        groups = await usage.summary(which, by=by) if by else ()
        # A record stands in one group, but for tags: in one for each that it has.
        parts = groups if by and "tag" not in by else await usage.summary(which)
        cursors = [_cursor_of(one) for one in groups]
        begin = 0 if after is None else _place_of(after, cursors)
        end = begin + count
        return UsageReport(
            total=UsageSums.of(*parts),
            edges=[
                UsageEdge(cursor=cursor, node=_group_of(one))
                for cursor, one in zip(cursors[begin:end], groups[begin:end], strict=True)
            ],
            page_info=PageInfo.of(cursors[begin:end], after=after, more=end < len(groups)),
        )

    @strawberry.field(description="The response cache; its figures are of the last 24 hours. Scope: read or admin.")
    async def cache(
        self,
        info: Info,
        since: Moment | None = None,
        until: Moment | None = None,
        group_by: list[UsageGroupWord] | None = None,
    ) -> CacheStatsType:
        texts: Mapping[str, str | None] = {
            "since": moment_text(since),
            "until": moment_text(until),
            "by": ",".join(one.value for one in group_by) if group_by else None,
        }
        given = {name: text for name, text in texts.items() if text is not None}
        return CacheStatsType.of(await info.context.parts.cache.stats(given))

    @strawberry.field(description="The configured limits, or those of a key and a user. Scope: admin.")
    async def limits(
        self, info: Info, key_id: strawberry.ID | None = None, user: str | None = None
    ) -> list[LimitStateType]:
        standings = await info.context.parts.limits.states(key_id=key_id, user=user)
        return [LimitStateType.of(state) for state in standings.states]

    @strawberry.field(description="What fires, the worst first, and what will if it goes on. Scope: read or admin.")
    async def alerts(self, info: Info) -> list[AlertType]:
        return [AlertType.of(one) for one in (await info.context.parts.alerts.seen()).alerts]

    @strawberry.field(description="What happened to alerts, or to those of a rule, newest first. Scope: read or admin.")
    async def alert_history(
        self, info: Info, rule: str | None = None, first: int | None = PAGE, after: str | None = None
    ) -> AlertEventConnection:
        page = await info.context.parts.alerts.history(rule=rule, cursor=after, count=count_of(first))
        nodes = [AlertEventType.of(event) for event in page.events]
        return AlertEventConnection(
            edges=[AlertEventEdge(cursor=node.id, node=node) for node in nodes],
            page_info=PageInfo.of([node.id for node in nodes], after=after, more=page.next_cursor is not None),
        )

    @strawberry.field(description="What operators did, and were refused, newest first. Scope: admin.")
    async def audit_log(
        self,
        info: Info,
        filter: AuditFilterInput | None = None,  # noqa: A002 - the contract's word
        first: int | None = PAGE,
        after: str | None = None,
    ) -> AuditEntryConnection:
        page = await info.context.parts.audit.page(audit_filter_of(filter), cursor=after, count=count_of(first))
        cursors = [str(entry.mark) for entry in page.entries]
        edges = [
            AuditEntryEdge(cursor=cursor, node=AuditEntryType.of(entry))
            for cursor, entry in zip(cursors, page.entries, strict=True)
        ]
        return AuditEntryConnection(
            edges=edges, page_info=PageInfo.of(cursors, after=after, more=page.next_cursor is not None)
        )

    @strawberry.field(
        description="What would become of a request, and why: nothing is called, and nothing is used. Scope: inference."
    )
    async def explain(self, info: Info, input: ChatInput) -> ExplanationType:  # noqa: A002 - the contract's word
        return await explain_chat(info.context, input)

    @strawberry.field(description="Api keys, oldest first. Scope: admin.")
    async def keys(self, info: Info, first: int | None = PAGE, after: str | None = None) -> ApiKeyConnection:
        page = await info.context.parts.keys.list(after=after, count=count_of(first))
        edges = [ApiKeyEdge(cursor=key.id, node=ApiKeyType.of(key, info)) for key in page.keys]
        cursors = [edge.cursor for edge in edges]
        return ApiKeyConnection(
            edges=edges, page_info=PageInfo.of(cursors, after=after, more=page.next_cursor is not None)
        )


def _group_of(summed: UsageSum) -> UsageGroupSums:
    values = [GroupValue(by=UsageGroupWord(name), value=value) for name, value in summed.group.items()]
    return UsageGroupSums(group=values, sums=UsageSums.of(summed))


def _cursor_of(summed: UsageSum) -> str:
    """The group's values: they stay where they are when further groups come."""
    return base64.urlsafe_b64encode(orjson.dumps(list(summed.group.values()))).decode()


def _place_of(after: str, cursors: list[str]) -> int:
    if after not in cursors:
        raise InvalidValue("'after' must be the cursor of an edge of the same report.", param="after")
    return cursors.index(after) + 1
