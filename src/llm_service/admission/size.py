"""How much one request may use at most: its prompt by an upper bound or a count, its answer by a cap."""

from dataclasses import dataclass
from typing import Any

from llm_service.domain import ModelRequest


@dataclass(frozen=True, slots=True)
class Size:
    """Tokens of the prompt, and of all the choices of the answer together. ``counted``: no mere bound."""

    input_tokens: int
    output_tokens: int
    counted: bool = False

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.input_tokens + self.output_tokens


def asked_cap(request: ModelRequest) -> int | None:
    """The cap that the request itself sets on one choice; ``None`` where it sets none."""
    body = request.body
    caps = [cap for name in ("max_completion_tokens", "max_tokens") if type(cap := body.get(name)) is int]
    return max(caps) if caps else None


def choices(request: ModelRequest) -> int:
    """How many answers are made and paid for: ``n``, or ``best_of`` of a text completion, for each of its prompts."""
    body: Any = request.body
    count = _count(body.get("n"))
    if request.operation != "completion":
        return count
    count = max(count, _count(body.get("best_of")))
    prompt = body.get("prompt")
    several = type(prompt) is list and prompt and type(prompt[0]) in (str, list)
    return count * (len(prompt) if several else 1)


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 1
