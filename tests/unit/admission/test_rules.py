"""Which limits a request meets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from llm_service.admission import AllowanceOptions, LimitsOptions, Rules
from llm_service.domain import Allowance, ApiKey, Caller, Limit

NOON = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
KEY = ApiKey(id="key_1", name="test", scopes=frozenset({"inference"}), created_at=NOON)
CALLER = Caller(key_id="key_1", scopes=KEY.scopes, key=KEY)


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.moment = NOON

    def now(self) -> datetime:
        return self.moment

    def time(self) -> float:
        return self.moment.timestamp()


@pytest.fixture
def wall() -> Wall:
    return Wall()


def rules(options: LimitsOptions, wall: Wall) -> Rules:
    return Rules(options, now=wall.now, time=wall.time)


def met(options: LimitsOptions, wall: Wall, *, caller: Caller = CALLER, user: str | None = "ann") -> list[Limit]:
    return list(rules(options, wall).of_caller(caller, user=user, model="fast").limits)


def test_without_limits_nothing_is_met(wall: Wall) -> None:
    assert met(LimitsOptions(), wall) == []


def test_everybody_model_key_and_user_are_met_together(wall: Wall) -> None:
    one = AllowanceOptions(requests_per_minute=5)
    options = LimitsOptions(everybody=one, per_key=one, per_user=one, per_model={"fast": one, "slow": one})
    assert [limit.key for limit in met(options, wall)] == [
        "requests:global:",
        "requests:model:fast",
        "requests:key:key_1",
        "requests:user:ann",
    ]


def test_a_request_without_a_user_meets_no_limit_of_users(wall: Wall) -> None:
    assert met(LimitsOptions(per_user=AllowanceOptions(requests_per_minute=5)), wall, user=None) == []


def test_a_key_s_own_limits_replace_the_common_ones_kind_by_kind(wall: Wall) -> None:
    options = LimitsOptions(per_key=AllowanceOptions(requests_per_minute=5, tokens_per_minute=100))
    caller = replace(CALLER, key=replace(KEY, allowance=Allowance(requests_per_minute=50)))
    assert {limit.kind: limit.amount for limit in met(options, wall, caller=caller)} == {"requests": 50, "tokens": 100}


def test_a_changed_key_is_looked_up_anew(wall: Wall) -> None:
    known = rules(LimitsOptions(), wall)
    before = known.of_caller(CALLER, user=None, model="fast")
    changed = replace(KEY, version=2, allowance=Allowance(concurrent_requests=1))
    after = known.of_caller(replace(CALLER, key=changed), user=None, model="fast")
    assert (len(before.limits), [limit.kind for limit in after.limits]) == (0, ["concurrency"])


def test_a_budget_is_whole_nano_usd_and_ends_with_its_period(wall: Wall) -> None:
    options = LimitsOptions(per_key=AllowanceOptions(budget_usd=Decimal("12.50"), budget_period="day"))
    (budget,) = met(options, wall)
    assert (budget.key, budget.amount) == ("money:key:key_1:2026-11-25", 12_500_000_000)
    assert budget.ends_at == int(datetime(2026, 11, 26, tzinfo=UTC).timestamp())


def test_the_next_period_has_a_budget_of_its_own(wall: Wall) -> None:
    options = LimitsOptions(everybody=AllowanceOptions(budget_usd=Decimal(1), budget_period="hour"))
    known = rules(options, wall)
    keys = []
    for _ in range(2):
        keys += [limit.key for limit in known.of_caller(CALLER, user=None, model="fast").limits]
        wall.moment += timedelta(minutes=30)
    assert keys == ["money:global::2026-11-25T12", "money:global::2026-11-25T13"]


def test_a_budget_in_total_never_ends(wall: Wall) -> None:
    options = LimitsOptions(everybody=AllowanceOptions(budget_usd=Decimal(1), budget_period="total"))
    assert [limit.ends_at for limit in met(options, wall)] == [None]


def test_the_same_request_gets_the_same_plan(wall: Wall) -> None:
    known = rules(LimitsOptions(everybody=AllowanceOptions(requests_per_minute=5)), wall)
    assert known.of_caller(CALLER, user="a", model="m") is known.of_caller(CALLER, user="a", model="m")


def test_a_provider_has_limits_by_its_name(wall: Wall) -> None:
    known = rules(LimitsOptions(per_provider={"deepseek": AllowanceOptions(requests_per_minute=3)}), wall)
    assert [limit.key for limit in known.of_provider("deepseek").limits] == ["requests:provider:deepseek"]
    assert known.of_provider("openrouter").limits == ()


def test_a_clock_that_is_set_back_is_followed_into_the_period_before(wall: Wall) -> None:
    """Not that of a moment that has never been: its budget would be asked until that comes."""
    budget = AllowanceOptions(budget_usd=Decimal(1), budget_period="day")
    known = rules(LimitsOptions(everybody=budget, per_key=budget, per_provider={"p": budget}), wall)

    def periods() -> set[str]:
        plans = (known.of_caller(CALLER, user=None, model="fast"), known.of_provider("p"))
        return {limit.key.rsplit(":", 1)[1] for plan in plans for limit in plan.limits}

    wall.moment = NOON + timedelta(days=400)
    assert periods() == {"2027-12-30"}
    wall.moment = NOON
    assert periods() == {"2026-11-25"}
    first = known.of_caller(CALLER, user=None, model="fast")
    wall.moment += timedelta(hours=1)
    assert known.of_caller(CALLER, user=None, model="fast") is first
