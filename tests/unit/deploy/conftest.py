"""The chart as it is rendered for each set of values, once for each process of the run."""

import pytest

from tests.support.chart import CASES, Rendered, rendered


@pytest.fixture(scope="session")
def charts() -> dict[str, Rendered]:
    made = dict(zip(CASES, rendered([*CASES.values()]), strict=True))
    assert {name: one.refused for name, one in made.items() if one.refused} == {}
    return made


@pytest.fixture
def chart(charts: dict[str, Rendered], case: str) -> Rendered:
    return charts[case]


@pytest.fixture
def production(charts: dict[str, Rendered]) -> Rendered:
    return charts["production"]
