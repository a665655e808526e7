"""The plugin that measures again does so for what is marked alone, and lets nothing through that is slow each time."""

import pytest

SUITE = """
import pytest
from tests.support.timed import within

tries = dict.fromkeys("slow disturbed broken unmarked".split(), 0)

@pytest.fixture
def fresh(tmp_path):
    assert not list(tmp_path.iterdir())
    return tmp_path

@pytest.mark.timed
def test_slow():
    tries["slow"] += 1
    within(2.0, 1.0)

@pytest.mark.timed
def test_disturbed(fresh):
    (fresh / "x").touch()
    tries["disturbed"] += 1
    within(4.0 - tries["disturbed"], 1.5)

@pytest.mark.timed
def test_broken():
    tries["broken"] += 1
    assert False

def test_unmarked():
    tries["unmarked"] += 1
    within(2.0, 1.0)

def test_they_were_tried():
    assert tries == {"slow": 3, "disturbed": 3, "broken": 1, "unmarked": 1}
"""


def test_what_took_too_long_is_measured_three_times_and_nothing_else_is(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmarkers = timed: x\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(SUITE)
    done = pytester.runpytest_inprocess("-p", "tests.support.timed", "-p", "no:randomly", "-p", "no:cacheprovider")
    done.assert_outcomes(passed=2, failed=3)
    done.stdout.fnmatch_lines(["measured again: *test_disturbed: *3 is not within 1.5"])
