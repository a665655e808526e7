"""Builds what holds requests within their limits, and what says afterwards what they cost."""

from collections.abc import Callable, Mapping

from llm_service.admission import Admission, Facts, Rules
from llm_service.bootstrap.ground import Ground
from llm_service.config import Settings
from llm_service.domain import Candidate, ModelInfo, ModelRequest
from llm_service.ledger import Ledger
from llm_service.observability import Log
from llm_service.pipeline import Accounts, Check, Windows
from llm_service.prices import Ceiling, ModelPrice, PriceBook
from llm_service.providers import Provider, price_list_for
from llm_service.runtime import Clock
from llm_service.services import Corrections, Reconciler, TokenCounter, Turn
from llm_service.storage import Database
from llm_service.tokens import bound_input_tokens

Known = Callable[[str, str], ModelInfo | None]
"""What a provider's catalogue said of a model, if anything."""


def build_book(settings: Settings, known: Known) -> PriceBook:
    """What requests cost at these providers."""
    lists = {name: price_list_for(name, options) for name, options in settings.providers.items()}
    return PriceBook(lists=lists, prices=settings.prices, live=known)


def build_accounts(ground: Ground, *, book: PriceBook, rules: Rules, known: Known) -> Accounts:
    """Admission and accounting under these settings."""
    settings, stores, clock, log = ground.settings, ground.stores, ground.clock, ground.log
    counter = TokenCounter(stores.tokenizers)

    def price(candidate: Candidate) -> ModelPrice | None:
        return book.price(candidate.provider, candidate.upstream_model)

    facts = build_facts(price=price, known=known, counter=counter, clock=clock)
    return Accounts(
        admission=Admission(stores.gate, rules, options=settings.limits, facts=facts),
        ledger=stores.ledger,
        price=price,
        counter=counter,
        clock=clock,
        at_once=stores.shared is None,
        report=lambda work, defect: log.error("defect", work=work, exc_info=defect),
        log=log,
    )


def build_facts(
    *, price: Callable[[Candidate], ModelPrice | None], known: Known, counter: TokenCounter, clock: Clock
) -> Facts:
    """What admission asks about a candidate: the most that it may cost, write and read."""

    def ceiling(candidate: Candidate) -> Ceiling | None:
        known_price = price(candidate)
        return None if known_price is None else known_price.ceiling(clock.now())

    def most_output(candidate: Candidate) -> int | None:
        told = known(candidate.provider, candidate.upstream_model)
        return None if told is None else told.max_output_tokens

    def bound(request: ModelRequest, candidate: Candidate) -> int:
        return bound_input_tokens(request, body_bytes=request.body_bytes, model=candidate.upstream_model)

    return Facts(price=ceiling, most_output=most_output, bound=bound, count=counter.count_prompt)


def build_check(ground: Ground, *, known: Known) -> Check:
    """What refuses requests that are not to be sent at all."""
    settings = ground.settings
    windows = Windows(
        most_input=settings.limits.max_input_tokens,
        overflow=settings.validation.context_overflow,
        known=known,
        size=TokenCounter(ground.stores.tokenizers).size_prompt,
    )
    return Check(settings.validation, windows, known)


def build_corrections(
    database: Database, ledger: Ledger, providers: Mapping[str, Provider], *, clock: Clock, log: Log
) -> Corrections:
    """What puts right the estimates of those providers that say afterwards what they billed."""
    return Corrections(
        Reconciler(ledger=database.ledger, providers=providers, clock=clock, log=log),
        ledger,
        Turn(database.facts, name=Corrections.TURN, holder=ledger.writer, clock=clock),
        providers=[name for name, provider in providers.items() if provider.keeps_generations],
    )
