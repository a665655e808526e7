"""The packages of the extra ``semantic``, which not every machine has."""

import pytest

from llm_service.cache import missing_packages

with_packages = pytest.mark.skipif(
    bool(missing_packages()), reason="the packages of the extra semantic are not installed"
)
