import base64
import pickle
from types import MappingProxyType

import pytest

from llm_service.config import Settings
from llm_service.domain import Secret
from llm_service.providers import ProviderOptions
from llm_service.supervisor.parcel import packed, unpacked
from tests.unit.supervisor.conftest import EditionOf


def test_settings_arrive_whole_with_their_secrets(edition_of: EditionOf) -> None:
    provider = ProviderOptions(api_key=Secret("sk-test-1"), headers=MappingProxyType({"x-team": "a"}))
    edition = edition_of(Settings(providers=MappingProxyType({"x": provider})))
    arrived = unpacked(packed(edition))
    assert arrived == edition
    assert arrived.loaded.settings.providers["x"].api_key.reveal() == "sk-test-1"  # type: ignore[union-attr]


def test_they_fit_on_a_line(edition_of: EditionOf) -> None:
    assert packed(edition_of()).isascii()
    assert "\n" not in packed(edition_of())


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match="not an edition"):
        unpacked(base64.b64encode(pickle.dumps({"a": 1})).decode())
