"""In strict mode a skip needs an allowed reason, and a run in which nothing passed has failed."""

import pytest

from tests.support.skips import SkipCheck, patterns

ALLOWED = "# a remark\n\n(RED|BLUE)_KEY is not set\n"
PASSES = "def test_a(): pass\n"
SKIPS = "import pytest\ndef test_b(): pytest.skip({!r})\n"


def run(pytester: pytest.Pytester, text: str) -> pytest.RunResult:
    pytester.makepyfile(text)
    return pytester.runpytest_inprocess("-p", "no:asyncio", plugins=[SkipCheck(patterns(ALLOWED))])


def test_an_allowed_reason_passes(pytester: pytest.Pytester) -> None:
    assert run(pytester, PASSES + SKIPS.format("RED_KEY is not set")).ret == pytest.ExitCode.OK


@pytest.mark.parametrize("reason", ["node is missing", "RED_KEY is not set today"])
def test_another_reason_fails_the_run_and_is_named(pytester: pytest.Pytester, reason: str) -> None:
    result = run(pytester, PASSES + SKIPS.format(reason))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*::test_b: {reason}"])


def test_a_module_that_skips_itself_is_seen(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_other="import pytest\npytest.importorskip('no_such_module')\n")
    assert run(pytester, PASSES).ret == pytest.ExitCode.TESTS_FAILED


def test_a_run_in_which_all_is_skipped_fails(pytester: pytest.Pytester) -> None:
    assert run(pytester, SKIPS.format("RED_KEY is not set")).ret == pytest.ExitCode.TESTS_FAILED


def test_an_expected_failure_is_no_skip(pytester: pytest.Pytester) -> None:
    text = PASSES + "import pytest\n@pytest.mark.xfail\ndef test_c(): assert False\n"
    assert run(pytester, text).ret == pytest.ExitCode.OK
