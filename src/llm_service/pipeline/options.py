"""Settings of a request's way: what a request may be, and how long answers are repeated."""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from llm_service.domain import MAX_ENTRIES, Bounds, Doc, Pattern

_HOST: Final = Pattern(
    r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]",
    "a host in small letters without a port, such as images.example.com or *.example.com",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyOptions:
    """Requests that are sent again under the same ``Idempotency-Key``."""

    retention_s: Annotated[
        float,
        Bounds(at_least=60, at_most=31_536_000),
        Doc("How long the answer under an `Idempotency-Key` is kept, and the same request is answered with it."),
    ] = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUrlOptions:
    """Addresses in a prompt that a provider is to fetch: of images, and of sounds, videos and files likewise."""

    allow: Annotated[
        Literal["any", "https", "data_only"],
        Doc("`any`: http, https and data addresses. `data_only`: the data itself, so that nobody fetches anything."),
    ] = "any"
    hosts: Annotated[
        tuple[Annotated[str, _HOST], ...],
        Doc(
            "The only hosts that may be named, wherever they are; `*.example.com` stands for those below "
            "`example.com`. Empty: any."
        ),
    ] = ()
    private_addresses: Annotated[
        Literal["refuse", "operators", "allow"],
        Doc(
            "Addresses of this machine and of private networks, by their spelling; DNS is not asked. `operators`: "
            "only requests with the admin key, or from this machine without a key, may name them. Those at which "
            "clouds keep credentials pass with `allow` alone."
        ),
    ] = "operators"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationOptions:
    """What a request may be. The bounds are beyond any use that is meant; providers have their own."""

    unknown_fields: Annotated[
        Literal["pass", "refuse"],
        Doc("Fields of a body that neither OpenAI, OpenRouter nor DeepSeek document: passed on, or refused."),
    ] = "pass"
    model_facts: Annotated[
        Literal["refuse", "pass"],
        Doc(
            "What becomes of images, sounds and tools for a model that takes none, as the provider's catalogue or "
            "`lacks` says of all its deployments: refused before the call, or left to the provider."
        ),
    ] = "refuse"
    context_overflow: Annotated[
        Literal["refuse", "clamp", "pass"],
        Doc(
            "What becomes of a prompt that, with the answer it asks for, surely exceeds the context of all "
            "deployments. `clamp`: the cap of the answer is lowered so that it fits. `pass`: the provider has the say."
        ),
    ] = "refuse"
    max_messages: Annotated[int, Bounds(at_least=1, at_most=MAX_ENTRIES), Doc("Messages of a request.")] = 16_384
    max_depth: Annotated[
        int, Bounds(at_least=8, at_most=250), Doc("Objects and lists within each other, the body among them.")
    ] = 250
    max_media: Annotated[
        int, Bounds(at_least=0, at_most=10**6), Doc("Images, sounds, videos and files of a request.")
    ] = 4_096
    max_tools: Annotated[int, Bounds(at_least=0, at_most=MAX_ENTRIES), Doc("Tools of a request.")] = 2_048
    max_tool_bytes: Annotated[
        int, Bounds(at_least=1024, at_most=10**9), Doc("All tools of a request, with their schemas, as JSON.")
    ] = 1_048_576
    max_stops: Annotated[int, Bounds(at_least=1, at_most=MAX_ENTRIES), Doc("Texts at which an answer ends.")] = 64
    max_choices: Annotated[int, Bounds(at_least=1, at_most=10**6), Doc("Answers to one prompt (`n`, `best_of`).")] = 128
    image_urls: ImageUrlOptions = field(default_factory=ImageUrlOptions)
