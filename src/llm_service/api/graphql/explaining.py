"""What would become of a chat request."""

from llm_service.api.graphql.asking import SURFACE
from llm_service.api.graphql.chat_body import chat_request_of, options_of
from llm_service.api.graphql.chat_inputs import ChatInput
from llm_service.api.graphql.context import Context
from llm_service.api.graphql.explain_types import ExplanationType


async def explain_chat(context: Context, given: ChatInput) -> ExplanationType:
    """The explanation. Raises LLMServiceError for an input that is no request."""
    calls = context.calls
    exchange = calls.exchange(
        chat_request_of(given, stream=False),
        options_of(given.options),
        caller=context.caller,
        request_id=context.request_id,
        surface=SURFACE,
        received_at=calls.clock.monotonic(),
    )
    explanation = await context.parts.explain.of(exchange, draining=calls.serving.draining)
    return ExplanationType.of(explanation, request_id=exchange.id)
