"""How much one request may use at most: its prompt by an upper bound or a count, its answer by a cap."""

from collections.abc import Callable, Sequence
from typing import Any

from llm_service.domain import Candidate, ModelRequest, fact_in_order


@fact_in_order
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
    cap, older = body.get("max_completion_tokens"), body.get("max_tokens")
    if type(cap) is not int:
        return older if type(older) is int else None
    return max(cap, older) if type(older) is int else cap


def choices(request: ModelRequest) -> int:
    """How many answers are made and paid for: ``n``, or ``best_of`` of a text completion, for each of its prompts."""
    body: Any = request.body
    asked = body.get("n")
    count = 1 if asked is None else _count(asked)
    if request.operation != "completion":
        return count
    count = max(count, _count(body.get("best_of")))
    prompt = body.get("prompt")
    several = type(prompt) is list and prompt and type(prompt[0]) in (str, list)
    return count * (len(prompt) if several else 1)


def output_of(
    request: ModelRequest,
    candidates: Sequence[Candidate],
    *,
    most_output: Callable[[Candidate], int | None],
    at_most: int,
) -> tuple[int | None, int]:
    """The cap to send upstream for one choice, and the most tokens that all choices have with it.

    ``most_output``: of a candidate's model, where that is known. ``at_most``: the cap where nothing else bounds an
    answer. The cap is ``None`` where the request sets its own, or has no answer.
    """
    if request.operation == "embedding":
        return None, 0
    asked = asked_cap(request)
    if asked is not None:
        return None, asked * choices(request)
    cap = at_most
    for candidate in candidates:
        most = most_output(candidate)
        if most is not None and most < cap:
            cap = most
    return cap, cap * choices(request)


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 1
