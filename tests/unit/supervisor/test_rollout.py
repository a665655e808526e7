"""A reload comes into force on every worker or on none, in whatever order they speak and end."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llm_service.supervisor.rollout import Rollout

WORKERS = st.integers(min_value=1, max_value=4)


def test_all_prepare_and_then_all_commit() -> None:
    rollout = Rollout([1, 2])
    phases = [rollout.phase]
    for say in (rollout.prepared, rollout.committed):
        for worker in (1, 2):
            say(worker)
            phases.append(rollout.phase)
    assert phases == ["preparing", "preparing", "committing", "committing", "done"]


def test_one_that_cannot_stops_all_with_its_reasons() -> None:
    rollout = Rollout([1, 2])
    rollout.prepared(1)
    rollout.cannot(2, "no file", "no key")
    rollout.prepared(2)
    assert (rollout.phase, rollout.reasons) == ("failed", ("no file", "no key"))


def test_one_that_ends_stops_it_before_the_commit_and_not_after() -> None:
    early, late = Rollout([1, 2]), Rollout([1, 2])
    early.ended(1)
    late.prepared(1), late.prepared(2), late.ended(1)
    assert (early.phase, late.phase) == ("failed", "committing")
    late.committed(2)
    assert late.phase == "done"


def test_one_that_leaves_is_not_waited_for() -> None:
    early, late = Rollout([1, 2]), Rollout([1, 2])
    early.left(1), early.prepared(2)
    late.prepared(1), late.prepared(2), late.left(1)
    assert (early.phase, late.phase) == ("committing", "committing")
    early.committed(2), late.committed(2)
    assert (early.phase, late.phase) == ("done", "done")


def test_time_ends_both_phases() -> None:
    early, late = Rollout([1]), Rollout([1])
    late.prepared(1)
    for rollout in (early, late):
        rollout.expired()
    assert (early.phase, late.phase) == ("failed", "done")


def test_where_nobody_works_there_is_nobody_to_wait_for() -> None:
    assert Rollout([]).phase == "done"


class AllOrNone(RuleBasedStateMachine):
    """Against a model that knows only who has prepared and who has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.rollout = Rollout([1, 2, 3])
        self.prepared: set[int] = set()
        self.seen = [self.rollout.phase]

    def moved(self) -> None:
        if self.seen[-1] != self.rollout.phase:
            self.seen.append(self.rollout.phase)

    @rule(worker=WORKERS)
    def prepares(self, worker: int) -> None:
        if self.rollout.phase == "preparing":
            self.prepared.add(worker)
        self.rollout.prepared(worker)
        self.moved()

    @rule(worker=WORKERS)
    def cannot(self, worker: int) -> None:
        self.rollout.cannot(worker, "a reason")
        self.moved()

    @rule(worker=WORKERS)
    def commits(self, worker: int) -> None:
        self.rollout.committed(worker)
        self.moved()

    @rule(worker=WORKERS)
    def ends(self, worker: int) -> None:
        self.rollout.ended(worker)
        self.moved()

    @rule()
    def expires(self) -> None:
        self.rollout.expired()
        self.moved()

    @invariant()
    def nothing_is_in_force_that_not_all_have_prepared(self) -> None:
        if "committing" in self.seen:
            assert self.prepared >= {1, 2, 3}
            assert "failed" not in self.seen

    @invariant()
    def a_refusal_has_its_reasons(self) -> None:
        assert (self.rollout.phase == "failed") == bool(self.rollout.reasons)

    @invariant()
    def it_never_goes_back(self) -> None:
        order = ["preparing", "committing", "done"]
        assert self.seen in (order[: len(self.seen)], ["preparing", "failed"])


TestAllOrNone = AllOrNone.TestCase
