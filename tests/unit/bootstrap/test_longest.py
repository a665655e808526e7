"""What a request holds stands for as long as it may last."""

import pytest

from llm_service.bootstrap import longest_s
from llm_service.providers import ProviderOptions, TimeoutOptions


@pytest.mark.parametrize(("totals_s", "least_s"), [((), 3600), ((60,), 3600), ((900, 7200), 7200), ((86400,), 86400)])
def test_a_request_never_lasts_longer(totals_s: tuple[float, ...], least_s: float) -> None:
    providers = {
        str(number): ProviderOptions(timeouts=TimeoutOptions(total_s=total_s))
        for number, total_s in enumerate(totals_s)
    }
    assert longest_s(providers) >= least_s
    assert longest_s(providers) >= 4 * max(totals_s, default=0)
