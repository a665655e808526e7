"""The durable store on either engine."""

from collections.abc import Sequence

from llm_service.storage.ports import (
    AlertStore,
    AuditStore,
    FactStore,
    KeyStore,
    LedgerStore,
    Reach,
    ReplayStore,
    SampleStore,
)
from llm_service.storage.sql.alerts import SqlAlerts
from llm_service.storage.sql.audit import SqlAudit
from llm_service.storage.sql.base import Driver
from llm_service.storage.sql.facts import SqlFacts
from llm_service.storage.sql.keys import SqlKeys
from llm_service.storage.sql.ledger import SqlLedger
from llm_service.storage.sql.replays import SqlReplays
from llm_service.storage.sql.samples import SqlSamples


class SqlDatabase:
    """The port Database: seven stores on one driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.reach: Reach = driver.reach
        self.keys: KeyStore = SqlKeys(driver)
        self.ledger: LedgerStore = SqlLedger(driver)
        self.facts: FactStore = SqlFacts(driver)
        self.replays: ReplayStore = SqlReplays(driver)
        self.alerts: AlertStore = SqlAlerts(driver)
        self.samples: SampleStore = SqlSamples(driver)
        self.audit: AuditStore = SqlAudit(driver)

    async def ping(self) -> None:
        await self._driver.ping()

    async def check(self) -> Sequence[str]:
        return await self._driver.check()

    async def aclose(self) -> None:
        await self._driver.aclose()
