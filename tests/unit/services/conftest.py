"""A deployment with api keys, and one of its processes."""

import pytest

from tests.support.key_service import Process, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def process(world: World) -> Process:
    return Process(world)
