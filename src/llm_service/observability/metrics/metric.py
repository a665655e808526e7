"""One kind of figure: its name, what it means, and by what its series differ."""

from typing import Literal

from llm_service.domain import fact_in_order

Kind = Literal["counter", "gauge", "histogram"]
Merge = Literal["sum", "max", "min", "latest"]


@fact_in_order
class Metric:
    """A metric as Prometheus knows it, in base units.

    ``labels``: names, in the order in which values are given. ``bounds``: of a histogram's buckets, ascending, without
    the infinite one. ``merge``: how a gauge's values in several processes become one; ``latest``: one process alone
    knows it, or all know the same.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    merge: Merge = "sum"
