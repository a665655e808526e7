"""What filters have found in a request or its answer, as everybody may know it: never the match itself."""

from typing import Literal

from llm_service.domain.fact import fact

FilterAction = Literal["block", "mask", "report"]
Direction = Literal["input", "output"]


@fact
class Verdict:
    """One filter's word on one side of a request.

    ``filter``: its name in the settings; ``type``: what kind it is of. ``labels``: what was found, in words of the
    filter's own (``email``, ``card``; never words of the text), each once, sorted. ``count``: how many places.
    ``failed``: the filter could not judge, and ``action`` is what followed from that.
    """

    filter: str
    type: str
    on: Direction
    action: FilterAction
    labels: tuple[str, ...] = ()
    count: int = 1
    failed: bool = False
