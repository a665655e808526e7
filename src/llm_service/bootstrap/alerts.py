"""Builds what looks at the rules, and who is told."""

from collections.abc import Callable, Iterator

from llm_service.alerts import Handover, Notifiers, Telling, Watch, WatchParts, build_notifiers, rules_of
from llm_service.bootstrap.ground import Ground
from llm_service.domain import fact
from llm_service.observability import AlertChanged, Reading, catalog
from llm_service.runtime import OnFailure, host_name, machine_of
from llm_service.services import AlertAdmin


@fact
class AlertParts:
    """What looks, what shows it to the doors, and the connections to those who are told."""

    watch: Watch
    admin: AlertAdmin
    notifiers: Notifiers

    async def aclose(self) -> None:
        """Look no more, deliver what has just come, and keep who knows what: another process may go on with it."""
        await self.watch.stop()
        await self.notifiers.aclose()
        await self.watch.let_go()

    def readings(self) -> Iterator[Reading]:
        """What fires, if it is this process that looks."""
        for labels, value in self.watch.firing().items():
            yield catalog.ALERTS_FIRING, labels, value


def build_alerts(
    ground: Ground,
    *,
    is_on: Callable[[str], bool],
    retired: Callable[[], bool],
    tell: Callable[[AlertChanged], None],
    on_failure: OnFailure,
) -> AlertParts:
    """All of it. ``is_on``: whether a provider is to be up; ``retired``: newer settings are in force here.

    ``tell`` hears of every alert that begins to fire or is over, in the process that looks.
    """
    settings, stores, clock = ground.settings, ground.stores, ground.clock
    rules = rules_of(settings.alerts, settings.alerting)
    meters = stores.metering.meters
    handover = Handover(
        log=ground.log, count=lambda channel, outcome: meters.counter(catalog.NOTICES, channel, outcome).add()
    )
    notifiers = build_notifiers(
        settings.notifiers, clock=clock, dice=ground.dice, told=handover.noticed, on_failure=on_failure
    )
    handover.notifiers = notifiers.by_name
    watch = Watch(
        WatchParts(
            rules=rules,
            options=settings.alerting,
            source=stores.metering.whole,
            alerts=stores.database.alerts,
            samples=stores.database.samples,
            handover=handover,
            telling=Telling(settings.alerting, instance=host_name()),
            holder=ground.ids.new("watch"),
            machine=machine_of(stores.data_dir),
            clock=clock,
            tasks=ground.tasks,
            log=ground.log,
            listener=tell,
            retired=retired,
            is_on=is_on,
        )
    )
    admin = AlertAdmin(
        stores.database.alerts,
        watch,
        handover,
        rules=rules,
        reach=stores.database.reach,
        clock=clock,
        ids=ground.ids,
    )
    return AlertParts(watch=watch, admin=admin, notifiers=notifiers)
