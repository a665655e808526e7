"""What can be done."""

import strawberry

from llm_service.api.graphql.asking import ask_chat, ask_embeddings
from llm_service.api.graphql.chat_inputs import ChatInput, EmbedInput
from llm_service.api.graphql.chat_types import ChatCompletion, Embeddings
from llm_service.api.graphql.context import Info
from llm_service.api.graphql.key_types import ApiKeyType, CreatedKey, KeyInput, KeyPatch, key_body
from llm_service.api.graphql.provider_types import Provider
from llm_service.api.graphql.state_types import PurgeInput, purge_texts
from llm_service.services import Issued


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Ask a chat model, and wait for its whole answer. Scope: inference.")
    async def chat(self, info: Info, input: ChatInput) -> ChatCompletion:  # noqa: A002 - the contract's word
        return await ask_chat(info.context, input)

    @strawberry.mutation(description="Ask for the vectors of texts. Scope: inference.")
    async def embed(self, info: Info, input: EmbedInput) -> Embeddings:  # noqa: A002
        return await ask_embeddings(info.context, input)

    @strawberry.mutation(
        description="End a stream of the caller's own, and its generation unless others read it; whether it ran."
    )
    async def cancel(self, info: Info, stream_id: strawberry.ID) -> bool:
        context = info.context
        _, running = await context.parts.resuming.cancel(stream_id, owner=context.caller.key_id)
        return running

    @strawberry.mutation(description="Make an api key. Scope: admin.")
    async def create_key(self, info: Info, input: KeyInput) -> CreatedKey:  # noqa: A002
        return _issued(await info.context.parts.keys.create(key_body(input)), info)

    @strawberry.mutation(description="Change some fields of an api key. Scope: admin.")
    async def update_key(self, info: Info, id: strawberry.ID, input: KeyPatch) -> ApiKeyType:  # noqa: A002
        return ApiKeyType.of(await info.context.parts.keys.update(id, key_body(input)), info)

    @strawberry.mutation(
        description="Give an api key a new secret; the former ones work for `overlapS` more seconds. Scope: admin."
    )
    async def rotate_key(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        overlap_s: int | None = None,
    ) -> CreatedKey:
        body = {} if overlap_s is None else {"overlap_s": overlap_s}
        return _issued(await info.context.parts.keys.rotate(id, body), info)

    @strawberry.mutation(description="End an api key for good. Scope: admin.")
    async def revoke_key(self, info: Info, id: strawberry.ID) -> ApiKeyType:  # noqa: A002
        return ApiKeyType.of(await info.context.parts.keys.revoke(id), info)

    @strawberry.mutation(description="Have the response cache forget answers; how many. Scope: admin.")
    async def purge_cache(self, info: Info, input: PurgeInput) -> int:  # noqa: A002
        return await info.context.parts.cache.purge(purge_texts(input))

    @strawberry.mutation(
        description="Switch a provider on (which ends its draining, too) or off, everywhere. Scope: admin."
    )
    async def set_provider_enabled(self, info: Info, name: str, enabled: bool) -> Provider:  # noqa: FBT001 - GraphQL's
        return Provider.of(await info.context.parts.providers.change(name, {"enabled": enabled}))

    @strawberry.mutation(
        description="Send a provider nothing new and let what runs finish, or take that back. Scope: admin."
    )
    async def drain_provider(
        self,
        info: Info,
        name: str,
        drain: bool = True,  # noqa: FBT001, FBT002 - GraphQL's
    ) -> Provider:
        return Provider.of(await info.context.parts.providers.change(name, {"drain": drain}))


def _issued(issued: Issued, info: Info) -> CreatedKey:
    return CreatedKey(key=ApiKeyType.of(issued.key, info), secret=issued.secret.reveal())
