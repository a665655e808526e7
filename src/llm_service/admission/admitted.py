"""What is granted to a request, and what would be."""

from collections.abc import Mapping, Sequence
from typing import Final

from llm_service.admission.gate import Held
from llm_service.admission.size import Size
from llm_service.domain import Candidate, Claim, LLMServiceError, fact, fact_in_order


@fact_in_order
class Admitted:
    """What was granted. ``held`` is ``None`` where no limit applies.

    ``candidate``: index of the one to call first. ``unpriced``: those that a budget does not allow, since nobody knows
    what they cost. ``cap``: output tokens of one choice to send upstream, ``None``: as
    the request has it. ``size`` and ``nano_usd``: the most that the request may use, where a limit asked for it.
    ``inner``: it is for the sake of another one, which holds the places.
    """

    held: Held | None = None
    candidate: int = 0
    unpriced: frozenset[Candidate] = frozenset()
    cap: int | None = None
    size: Size | None = None
    nano_usd: int = 0
    inner: bool = False


FREE: Final = Admitted()
INNER: Final = Admitted(inner=True)
"""The same for a request of our own."""


@fact
class Foreseen:
    """What admission would decide, and what the request would take.

    ``callers``: its claims on the limits of its caller; ``providers``: on those of each candidate's provider, the later
    ones among them; without a claim for those of unknown price that a budget does not allow (``unpriced``).
    ``candidate``: index of the one to be called first. ``cap``: as in `Admitted`. ``input_tokens``: what the prompt has
    at most; ``output_tokens``: the most of all choices of the answer, ``None`` where nothing bounds it.
    """

    callers: Sequence[Claim]
    providers: Mapping[Candidate, Sequence[Claim]]
    input_tokens: int
    output_tokens: int | None
    candidate: int = 0
    cap: int | None = None
    unpriced: frozenset[Candidate] = frozenset()
    error: LLMServiceError | None = None
