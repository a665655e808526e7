"""All dashboards by the name of their file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from scripts.dashboards.cache import CACHE
from scripts.dashboards.cost import COST
from scripts.dashboards.grafana import Board
from scripts.dashboards.latency import LATENCY
from scripts.dashboards.providers import PROVIDERS
from scripts.dashboards.traffic import TRAFFIC

ALL: Final[Mapping[str, Board]] = MappingProxyType(
    {board.name: board for board in (TRAFFIC, LATENCY, COST, CACHE, PROVIDERS)}
)
