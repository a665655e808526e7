"""What lasts is not looked at again and again by the garbage collector."""

import gc

import pytest

from llm_service.runtime import lasting


@pytest.fixture(autouse=True)
def nothing_is_kept() -> object:
    yield
    gc.unfreeze()


def test_the_collector_rests_while_lasting_things_are_made_and_skips_them_afterwards() -> None:
    kept_before = gc.get_freeze_count()
    with lasting():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]  # type: ignore[var-annotated]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= kept_before + len(made)


def test_the_collector_works_again_after_a_failure() -> None:
    with pytest.raises(OSError, match="broken"), lasting():
        raise OSError("broken")
    assert gc.isenabled()
