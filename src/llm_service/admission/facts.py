"""What admission asks others for."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from llm_service.domain import Candidate, ModelRequest, fact


class WorstCase(Protocol):
    """A deployment's price, as far as admission needs it."""

    def worst_case_nano(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most that so many tokens can cost, in whole nano-USD, rounded up."""


@fact
class Facts:
    """What admission asks others for.

    ``price``: of a deployment, ``None`` where nobody knows. ``most_output``: tokens that a deployment's model can
    answer with, where that is known. ``bound`` is never less than the prompt's tokens; ``count`` counts them.
    """

    price: Callable[[Candidate], WorstCase | None]
    most_output: Callable[[Candidate], int | None]
    bound: Callable[[ModelRequest, Candidate], int]
    count: Callable[[ModelRequest, Candidate], Awaitable[int]]
