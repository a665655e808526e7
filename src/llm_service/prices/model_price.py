"""The price of one model: what a request comes to, and the most that it may come to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal

from llm_service.domain import Price, PriceTerm, Usage, fact

Origin = Literal["operator", "provider", "table"]
"""Who says so: the settings, the provider's own catalogue, the table that ships with the service."""

LONGEST_REQUEST: Final = timedelta(days=1)
"""No request goes on for longer, so that a price that begins later than this is no matter for it."""
_NOTHING: Final = Decimal(0)
_NANO_OF_MILLIONTHS: Final = 3
"""Digits between them."""
_Rates = tuple[int, Decimal, Decimal, Decimal]
"""For input of more tokens than this: USD per million of input and of output, millionths of USD for the request."""


@fact
class ModelPrice:
    """Prices with the times at which they hold: the last one that does counts, else the first.

    Each states input and output. ``stated_on``: the day of the table, which also knows the ``context_tokens`` of some.
    ``service_tiers``: the same for requests that the provider served at that tier; one that is not there costs the
    plain price.
    """

    terms: Sequence[PriceTerm]
    origin: Origin
    stated_on: date | None = None
    context_tokens: int | None = None
    service_tiers: Mapping[str, Sequence[PriceTerm]] = field(default_factory=lambda: MappingProxyType({}))
    _ceilings: dict[tuple[date, str | None], "Ceiling"] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _exact: dict[tuple[int, str | None], "_Exact"] = field(default_factory=dict, init=False, repr=False, compare=False)
    """By the place of the term that holds, and the service tier."""

    def cost(self, usage: Usage, at: datetime, *, service_tier: str | None = None) -> Decimal:
        """USD for these tokens at an aware moment, exact to the last digit."""
        price = _for_input(_at(self._terms(service_tier), at), usage.input_tokens)
        cached_usd, reasoning_usd = price.cached_input_usd, price.reasoning_usd
        input_usd, output_usd = price.input_usd or _NOTHING, price.output_usd or _NOTHING
        usd = input_usd * usage.input_tokens + output_usd * usage.output_tokens
        if cached_usd is not None:
            usd -= (input_usd - cached_usd) * usage.cached_input_tokens
        if reasoning_usd is not None:
            usd -= (output_usd - reasoning_usd) * usage.reasoning_tokens
        return usd.scaleb(-6) + (price.request_usd or _NOTHING)

    def cost_nano(self, usage: Usage, at: datetime, *, service_tier: str | None = None) -> int:
        """The same in whole nano-USD, halves to the even one: reckoned without decimals, since every request asks."""
        tier = None if service_tier is None or service_tier not in self.service_tiers else service_tier
        terms = self._terms(tier)
        place = _place(terms, at)
        exact = self._exact.get((place, tier))
        if exact is None:
            exact = self._exact[place, tier] = _Exact(terms[place].price)
        return exact.cost_nano(usage)

    def at(self, moment: datetime) -> Price:
        """What holds at an aware moment, without a service tier."""
        return _at(self.terms, moment)

    def ceiling(self, at: datetime, *, service_tier: str | None = None) -> "Ceiling":
        """What a request that begins at an aware moment can cost at most; the same object all day."""
        day = (at if at.tzinfo is UTC else at.astimezone(UTC)).date()
        tier = service_tier if service_tier in self.service_tiers else None
        known = self._ceilings.get((day, tier))
        if known is None:
            if len(self._ceilings) > len(self.service_tiers):  # a new day
                self._ceilings.clear()
            known = self._ceilings[day, tier] = Ceiling(rates=tuple(_undominated(self._possible(day, tier))))
        return known

    def price_date(self, at: datetime) -> date | None:
        """The day of the price for a request at ``at``; none where the operator set it."""
        return at.astimezone(UTC).date() if self.origin == "provider" else self.stated_on

    def _terms(self, service_tier: str | None) -> Sequence[PriceTerm]:
        return self.terms if service_tier is None else self.service_tiers.get(service_tier, self.terms)

    def _possible(self, day: date, tier: str | None) -> Iterator[_Rates]:
        """What may hold within the longest request; at a tier the plain prices too, since a provider may fall back."""
        for terms in (self.terms,) if tier is None else (self.terms, self.service_tiers[tier]):
            for price in (*_holding(terms, day), *_holding(terms, day + LONGEST_REQUEST)):
                yield from _rates_of(price)


@fact
class Ceiling:
    """The dearest rates that a request can meet: at any hour, all input new to the provider's prompt cache and kept."""

    rates: Sequence[_Rates]
    _whole: Sequence[tuple[int, int, int, int]] = field(init=False, repr=False, compare=False)
    """The rates as whole numbers, ``_parts`` of which are a nano-USD for each token."""
    _parts: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        digits = max([_NANO_OF_MILLIONTHS, *(_digits(figure) for _, *figures in self.rates for figure in figures)])
        whole = [(above, *(int(figure.scaleb(digits)) for figure in figures)) for above, *figures in self.rates]
        object.__setattr__(self, "_whole", whole)
        object.__setattr__(self, "_parts", 10 ** (digits - _NANO_OF_MILLIONTHS))

    def worst_case_nano(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most that so many tokens, or fewer, can cost, in whole nano-USD, rounded up. Never falls as tokens grow.

        Every request under a budget asks, so it is reckoned without decimals, and exactly all the same.
        """
        most = 0
        for above, input_parts, output_parts, request_parts in self._whole:
            if input_tokens > above:
                parts = input_parts * input_tokens + output_parts * output_tokens + request_parts
                if parts > most:
                    most = parts
        return -(-most // self._parts)


class _Exact:
    """A price as whole numbers, so many ``_parts`` of which are a nano-USD. Each figure belongs to one count.

    What is cheaper than the rest of its side, or dearer, counts as a difference to it: cached input, reasoning.
    """

    __slots__ = ("_above", "_cached", "_input", "_output", "_parts", "_reasoning", "_request")

    def __init__(self, price: Price) -> None:
        self._above = tuple((tokens, _Exact(other)) for tokens, other in reversed(price.above))
        input_usd, output_usd = price.input_usd or _NOTHING, price.output_usd or _NOTHING
        cached_usd = input_usd if price.cached_input_usd is None else price.cached_input_usd
        reasoning_usd = output_usd if price.reasoning_usd is None else price.reasoning_usd
        request_usd = (price.request_usd or _NOTHING).scaleb(6)
        figures = (input_usd, output_usd, cached_usd - input_usd, reasoning_usd - output_usd, request_usd)
        digits = max(_NANO_OF_MILLIONTHS, *map(_digits, figures))
        whole = [int(figure.scaleb(digits)) for figure in figures]
        self._input, self._output, self._cached, self._reasoning, self._request = whole
        self._parts: int = 10 ** (digits - _NANO_OF_MILLIONTHS)

    def cost_nano(self, usage: Usage) -> int:
        """What these tokens cost, rounded once."""
        input_tokens = usage.input_tokens
        for tokens, other in self._above:
            if input_tokens > tokens:
                return other.cost_nano(usage)
        parts = self._input * input_tokens + self._output * usage.output_tokens + self._request
        if usage.cached_input_tokens:
            parts += self._cached * usage.cached_input_tokens
        if usage.reasoning_tokens:
            parts += self._reasoning * usage.reasoning_tokens
        nano, rest = divmod(parts, self._parts)
        twice = 2 * rest
        return nano + 1 if twice > self._parts or (twice == self._parts and nano & 1) else nano


def _digits(figure: Decimal) -> int:
    """How many of them stand behind the point."""
    exponent = figure.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _at(terms: Sequence[PriceTerm], moment: datetime) -> Price:
    return terms[_place(terms, moment)].price


def _place(terms: Sequence[PriceTerm], moment: datetime) -> int:
    """Which term holds: the last one that does, else the first."""
    if len(terms) > 1:
        for place in range(len(terms) - 1, -1, -1):
            if terms[place].holds(moment):
                return place
    return 0


def _holding(terms: Sequence[PriceTerm], day: date) -> Iterator[Price]:
    """What holds at some hour of a day."""
    for term in reversed(terms):
        if term.since is None or term.since <= day:
            yield term.price
            if term.hours is None:
                return
    yield terms[0].price


def _for_input(price: Price, input_tokens: int) -> Price:
    for above, other in reversed(price.above):
        if input_tokens > above:
            return other
    return price


def _rates_of(price: Price) -> Iterator[_Rates]:
    for above, one in ((-1, price), *price.above):
        input_usd = max(filter(None, (one.input_usd, one.cached_input_usd, one.cache_write_usd)), default=_NOTHING)
        output_usd = max(filter(None, (one.output_usd, one.reasoning_usd)), default=_NOTHING)
        yield above, input_usd, output_usd, (one.request_usd or _NOTHING).scaleb(6)


def _undominated(rates: Iterable[_Rates]) -> Iterator[_Rates]:
    """Without those that another one exceeds in every figure and for every input."""
    different = set(rates)
    for one in different:
        if not any(other != one and _exceeds(other, one) for other in different):
            yield one


def _exceeds(other: _Rates, one: _Rates) -> bool:
    return other[0] <= one[0] and all(theirs >= ours for theirs, ours in zip(other[1:], one[1:], strict=True))
