"""What brings to the database what ended processes left, with the stores that it takes and nothing else."""

from contextlib import AsyncExitStack

from llm_service.admission import Lost
from llm_service.bootstrap.around import Surroundings
from llm_service.bootstrap.commons import open_commons
from llm_service.ledger import Leftovers
from llm_service.runtime import RandomIds, Tasks
from llm_service.storage import Database, StoreOptions


async def open_leftovers(
    held: AsyncExitStack, around: Surroundings, store: StoreOptions, database: Database
) -> Leftovers:
    """Find the shared limits, where leases are settled, if there are any; ``held`` lets go of them.

    Raises AddressError.
    """

    def on_failure(work: str, failure: BaseException) -> None:
        around.log.error("background work failed", work=work, exc_info=failure)

    tasks = Tasks(on_failure)
    held.push_async_callback(tasks.aclose)
    holder = RandomIds(around.clock, around.dice).new("proc")
    commons = await open_commons(held, around, store, holder=holder, tasks=tasks, on_failure=on_failure)
    return Leftovers(
        around.data_dir, store=database.ledger, on_lost=Lost(commons.limits), clock=around.clock, log=around.log
    )
