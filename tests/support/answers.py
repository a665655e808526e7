"""Answers to keep, of which a test says only what matters to it."""

from hashlib import sha256

from llm_service.domain import Head, KeptAnswer, Usage

GROUPS = ("all", "model:fast", "tenant:ada")


def digest_of(name: object) -> bytes:
    return sha256(f"{name}".encode()).digest()


def kept_answer(
    name: object = "a", text: str = "Hello.", *, at: float, fresh_s: float = 60.0, kept_s: float = 600.0
) -> KeptAnswer:
    """An answer of two events, stored at a Unix second."""
    return KeptAnswer(
        digest=digest_of(name),
        form="events",
        pieces=(b'{"choices":[{"delta":{"content":"%s"}}]}' % text.encode(), b'{"choices":[{"finish_reason":"stop"}]}'),
        kinds="cf",
        head=Head(provider="openrouter", model="fast", upstream_model="deepseek/deepseek-flash"),
        usage=Usage(input_tokens=5, output_tokens=7, cached_input_tokens=3, reasoning_tokens=1),
        finish_reason="stop",
        upstream_id="gen-1",
        response_model="deepseek-flash",
        nano_usd=1_234_567_890_123,
        cost_source="provider",
        stored_at=at,
        fresh_s=fresh_s,
        kept_s=kept_s,
    )
