"""What a store that was away is told afterwards."""

from llm_service.admission import Arrears
from llm_service.runtime import Tasks
from llm_service.storage import MemoryLimits
from tests.support.clock import ManualClock
from tests.support.waiting import until


class Odd(MemoryLimits):
    """A store with a defect for one lease."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.heard: list[str] = []

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    async def settle_lost(self, holder: str, lease_id: str, settlement: object) -> bool:
        self.heard.append(lease_id)
        if lease_id == "r1":
            raise RuntimeError("a defect")
        return True


async def test_a_defect_is_reported_and_keeps_nobody_else_from_being_told() -> None:
    clock, reported = ManualClock(), list[BaseException]()
    store = Odd(clock)
    arrears = Arrears(store, clock=clock, tasks=Tasks(lambda work, failure: reported.append(failure)))
    for lease_id in ("r1", "r2"):
        arrears.give_back("proc_1", lease_id)
    await until(lambda: not len(arrears))
    assert (store.heard, [str(failure) for failure in reported]) == (["r1", "r2"], ["a defect"])
