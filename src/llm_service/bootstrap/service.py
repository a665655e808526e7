"""Builds the whole object graph, in order. The list of stages stands here and nowhere else."""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from llm_service.admission import Rules
from llm_service.api import Lane, Refused, Reload, Serving
from llm_service.bootstrap.accounts import build_accounts, build_book, build_check, build_corrections
from llm_service.bootstrap.alerts import AlertParts, build_alerts
from llm_service.bootstrap.asking import AskingParts, build_asking
from llm_service.bootstrap.doors import build_app, build_calls, build_health, with_cors
from llm_service.bootstrap.gauges import ServiceGauges
from llm_service.bootstrap.ground import Ground
from llm_service.bootstrap.issuers import TokenParts, build_tokens
from llm_service.bootstrap.provider_parts import ProviderParts, build_provider_parts
from llm_service.bootstrap.providers import build_resolver
from llm_service.bootstrap.routing import build_call, build_knows, build_ranking, hold_to
from llm_service.bootstrap.sharing import build_alike, build_promises, build_remember, build_share
from llm_service.bootstrap.stores import Stores
from llm_service.bootstrap.telemetry import Sending, build_telemetry
from llm_service.config import Settings, secrets_of
from llm_service.domain import ProviderState, fact
from llm_service.filters import NO_POLICY, build_policies
from llm_service.observability import AccessLog, Contents, Listener, Listeners, Log, MetricsSource, RequestMeter, Tracer
from llm_service.pipeline import (
    MARK,
    Account,
    Accounts,
    Admit,
    Call,
    Moderate,
    Observe,
    Rank,
    Replay,
    Resolve,
    Row,
    Screen,
    Shed,
    Sift,
    Stage,
    Vet,
    compose,
    counting,
    reporting,
)
from llm_service.routing import Overload, Ranking
from llm_service.runtime import Clock, IdSource, RandomIds, SystemClock, Tally, Tasks, system_random
from llm_service.services import (
    Audit,
    AuditTrail,
    Events,
    Explain,
    ExplainParts,
    Gateway,
    Health,
    Models,
    PricedModels,
    Standing,
    Upkeep,
)

FIRST_WORKER: Final = 1


@fact
class Service:
    """The built service: the ASGI application, what shutting down needs, and the parts that commands use.

    ``lane``: the hot routes for a server that can do without ASGI for them.
    ``unsettled``: exchanges that may go on though their clients have left. ``hold``: lets the fleet, which all
    generations share, go by these settings again, after others were built that nobody uses. ``took_over``: tells that
    these settings are in force from now on.
    """

    app: Any
    lane: Lane
    refused: Refused
    serving: Serving
    health: Health
    models: Models
    parts: ProviderParts
    asking: AskingParts | None
    tokens: TokenParts | None
    alerts: AlertParts
    listeners: Listeners
    tasks: Tasks
    unsettled: Tally
    upkeep: Upkeep
    sending: Sending | None
    hold: Callable[[], None]
    took_over: Callable[[], None]

    async def aclose(self) -> None:
        """Close in reverse order of building: running work first, then the listeners and the connections."""
        await self.alerts.aclose()
        await self.tasks.aclose()
        self.listeners.close()
        if self.sending is not None:
            await self.sending.aclose()
        if self.asking is not None:
            await self.asking.aclose()
        if self.tokens is not None:
            await self.tokens.aclose()
        await self.parts.aclose()


def build_service(
    settings: Settings,
    stores: Stores,
    *,
    log: Log,
    listening: Sequence[Listener] = (),
    sandbox: bool = False,
    clock: Clock | None = None,
    ids: IdSource | None = None,
    standing: Standing | None = None,
    reload: Reload | None = None,
    figures: MetricsSource | None = None,
) -> Service:
    """The service for these settings; call it on the running event loop, once for each generation of the settings.

    ``listening`` are told of every request; without any, the log gets a line for each. ``reload`` makes the next
    generation; without it there is none. ``figures``: what is sent as metrics beside those of this process's requests;
    without them, those of this machine.
    """
    stores.redaction.learn(secrets_of(settings))
    clock = clock or SystemClock()
    ids = ids or RandomIds(clock, system_random())
    # A throw of the system's own dice costs ten times as much, and no secret hangs on these.
    dice = random.Random(system_random().getrandbits(64))  # noqa: S311

    def on_failure(work: str, failure: BaseException) -> None:
        log.error("background work failed", work=work, exc_info=failure)

    tasks = Tasks(on_failure)
    ground = Ground(
        settings=settings, stores=stores, sandbox=sandbox, clock=clock, ids=ids, dice=dice, tasks=tasks, log=log
    )
    leads = standing is None or standing.worker in (None, FIRST_WORKER)
    parts = build_provider_parts(ground, on_failure=on_failure, leads=leads)
    models = parts.models
    meter = RequestMeter(
        stores.metering.meters,
        knows=build_knows(settings, build_resolver(settings, stores.fleet), models.told),
        per_key=settings.observability.metrics_key_label,
        time=clock.time,
    )
    events = stores.live.events
    worker = None if standing is None else standing.worker
    serving = Serving(stores.streams)
    telemetry = build_telemetry(
        ground,
        figures=(figures or stores.metering.whole) if leads else None,
        replaced=lambda: serving.retired and serving.draining is None,
        on_failure=on_failure,
        worker=worker,
    )
    listeners = Listeners([*(listening or [AccessLog(log)]), meter, *telemetry.listeners, events])
    rules = Rules(settings.limits, now=clock.now, time=clock.time)
    alerts = build_alerts(
        ground,
        is_on=parts.states.is_on,
        retired=lambda: serving.retired,
        tell=events.alert_changed,
        on_failure=on_failure,
    )
    gauges = ServiceGauges(ground, parts, rules, standing, leads=leads, also=(alerts.readings,))
    book = build_book(settings, models.told)
    accounts = build_accounts(ground, book=book, rules=rules, known=models.told)
    unsettled = Tally()
    hold = partial(hold_to, settings, stores, gauges)
    hold()
    ranking = build_ranking(ground, accounts, models.told, is_on=parts.states.is_on)
    deciding = build_deciding(ground, parts, accounts=accounts, ranking=ranking, unsettled=unsettled)
    asking = build_asking(ground, on_failure=on_failure)
    row = build_row(ground, deciding, asking, accounts=accounts, listeners=listeners, tracer=telemetry.tracer)
    meter.name_stages(row.names)
    gateway = Gateway(row=row, tasks=tasks, log=log, clock=clock, ids=ids)
    if asking is not None:
        asking.gateway.chat = gateway.chat
    corrected = {name: one for name, one in parts.providers.items() if settings.providers[name].enabled}
    corrections = build_corrections(stores.database, stores.ledger, corrected, clock=clock, log=log)
    health = build_health(ground, parts.health, standing, overload=deciding.overload)
    calls = build_calls(ground, gateway, listeners, serving=serving, tracer=telemetry.tracer)
    tell_of_states(events, parts, serving)
    explain = Explain(deciding)
    tokens = build_tokens(ground, on_failure=on_failure)
    app = build_app(
        ground,
        calls=calls,
        explain=explain,
        parts=parts,
        models=PricedModels(models, book, clock),
        alerts=alerts.admin,
        health=health,
        rules=rules,
        tokens=None if tokens is None else tokens.tokens,
        reload=reload,
    )
    if telemetry.sending is not None:
        telemetry.sending.start()
    return Service(
        app=with_cors(app, settings.server.allowed_origins),
        lane=app.lane(is_open=settings.server.fast_lane),
        refused=app.refused,
        serving=serving,
        health=health,
        models=models,
        parts=parts,
        asking=asking,
        tokens=tokens,
        alerts=alerts,
        listeners=listeners,
        tasks=tasks,
        unsettled=unsettled,
        upkeep=Upkeep(
            parts.probes,
            corrections,
            stores.database.replays,
            alerts.watch if leads else None,
            Audit(stores.database.audit) if leads else None,
            issuers=None if tokens is None else tokens.tokens,
            acts_kept_for=timedelta(days=settings.ledger.audit_retention_days),
            tasks=tasks,
            clock=clock,
            log=log,
        ),
        sending=telemetry.sending,
        hold=hold,
        took_over=partial(tell_of_settings, events, standing, stores.trail if leads else None),
    )


def tell_of_states(events: Events, parts: ProviderParts, serving: Serving) -> None:
    """Have the generation in force tell when a provider is switched."""

    def changed(name: str, state: ProviderState) -> None:
        if not serving.retired:
            events.tell_here("provider", {"provider": name, "change": "state", "state": state})

    parts.states.on_change(changed)


def tell_of_settings(events: Events, standing: Standing | None, trail: AuditTrail | None) -> None:
    """Tell that settings are in force that were not. ``trail``: where that is kept, once on this machine."""
    generation = None if standing is None else standing.generation
    events.tell_here("config", {"generation": generation})
    if trail is not None:
        subject = None if generation is None else f"generation {generation}"
        trail.note("config.in_force", door="service", outcome="done", subject=subject)


def build_overload(ground: Ground) -> Overload:
    """What says when requests are refused under these settings."""
    settings = ground.settings
    return Overload(
        ground.stores.pressure,
        settings.routing.overload,
        workers=settings.server.workers,
        clock=ground.clock,
        log=ground.log,
    )


def build_deciding(
    ground: Ground,
    parts: ProviderParts,
    *,
    accounts: Accounts,
    ranking: Ranking,
    unsettled: Tally,
) -> ExplainParts:
    """What decides in the stages, for requests and for those who ask what would become of one."""
    alike = build_alike(ground)
    share = build_share(ground, alike=alike)
    policies = build_policies(ground.settings.filters)
    retries = {name: options.max_retries for name, options in ground.settings.providers.items()}
    return ExplainParts(
        overload=build_overload(ground),
        resolver=build_resolver(ground.settings, ground.stores.fleet),
        check=build_check(ground, known=parts.models.told),
        screen=None
        if policies.all is NO_POLICY
        else Screen(policies, reporting(ground.log), counted=counting(accounts.admission)),
        remember=build_remember(ground, alike=alike, unsettled=unsettled),
        replay=Replay(build_promises(ground), share),
        ranking=ranking,
        admission=accounts.admission,
        gate=ground.stores.gate,
        share=share,
        call=Call(build_call(ground, parts.providers, accounts, ranking)),
        price=accounts.price,
        max_retries=retries.__getitem__,
        clock=ground.clock,
    )


def build_row(
    ground: Ground,
    deciding: ExplainParts,
    asking: AskingParts | None,
    *,
    accounts: Accounts,
    listeners: Listeners,
    tracer: Tracer | None,
) -> Row:
    """The row of stages, in the order in which a request passes them. Without filters there is no stage for them."""
    told = ground.settings.observability
    contents = Contents(max_bytes=told.log_content_max_bytes, redaction=ground.stores.redaction)
    observe = Observe(
        listeners,
        ground.clock,
        tracer,
        contents=contents if told.log_content else None,
        screens=deciding.screen is not None,
    )
    screening: list[tuple[str, Stage]] = []
    sifting: list[tuple[str, Stage]] = []
    if deciding.screen is not None:
        screening.append(("screen", deciding.screen))
        sifting.append(("sift", Sift(clock=ground.clock, report=reporting(ground.log))))
    moderating: list[tuple[str, Stage]] = [] if asking is None else [("moderate", Moderate(asking.asking))]
    vetting: list[tuple[str, Stage]] = [] if asking is None else [("vet", Vet(asking.asking))]
    return compose(
        [
            ("observe", observe),
            ("shed", Shed(ground.stores.pressure, deciding.overload, ground.dice)),
            ("resolve", Resolve(deciding.resolver)),
            ("check", deciding.check),
            *screening,
            ("remember", deciding.remember),
            ("replay", deciding.replay),
            ("rank", Rank(deciding.ranking)),
            ("admit", Admit(accounts)),
            *moderating,
            ("share", deciding.share),
            ("account", Account(accounts)),
            *vetting,
            *sifting,
        ],
        ("call", deciding.call),
        now=ground.clock.monotonic,
        marks=(MARK,),
    )
