"""What the doors ask of alerts, over a store in memory: rules, a state that a test writes, notifiers by script."""

from collections.abc import Mapping, Sequence
from typing import Any

from llm_service.alerts import Alert, AlertOptions, Book, Handover, Rule, Telling, Watch, WatchParts
from llm_service.alerts.book import book_text
from llm_service.runtime import Tasks
from llm_service.services import AlertAdmin
from tests.support.alerting import OPTIONS, ScriptedNotifier
from tests.support.clock import ManualClock
from tests.support.figures import Machine
from tests.support.memory_alerts import MemoryAlerts
from tests.support.service import LogLines

RULES = (
    AlertOptions(name="down", kind="provider_down", notify=("ops", "chat")),
    AlertOptions(name="slow", kind="latency", above=5, labels={"team": "x"}),
    AlertOptions(name="cost", kind="cost_per_hour", above=10, for_="5m"),
)


class AlertDesk:
    """Alerts as the doors see them."""

    def __init__(self, ids: Any, rules: Sequence[AlertOptions] = RULES) -> None:
        self.clock = ManualClock()
        self.store = MemoryAlerts()
        log = LogLines()
        self.handover = Handover(log=log)
        self.notifiers: Mapping[str, ScriptedNotifier] = {
            name: ScriptedNotifier(name, self.handover) for name in ("ops", "chat")
        }
        self.handover.notifiers = self.notifiers
        self.rules = [Rule.of(one) for one in rules]
        samples: Any = None  # nobody looks at the rules here
        watch = Watch(
            WatchParts(
                rules=self.rules,
                options=OPTIONS,
                source=Machine(),
                alerts=self.store,
                samples=samples,
                handover=self.handover,
                telling=Telling(OPTIONS, instance="here"),
                holder="watch",
                machine="machine",
                clock=self.clock,
                tasks=Tasks(lambda work, failure: None),
                log=log,
            )
        )
        self.admin = AlertAdmin(
            self.store, watch, self.handover, rules=self.rules, reach="machine", clock=self.clock, ids=ids
        )

    async def know(self, *alerts: Alert) -> None:
        """These are what whoever looks at the rules has written down."""
        now = self.clock.now()
        lease = await self.store.take("other", now=now, until=now)
        book = Book(alerts={one.key: one for one in alerts}, looked_at=now)
        await self.store.save("other", version=lease.version, state=book_text(book), entries=())
