"""What providers' free endpoints said last, to whichever process asked: the others are told."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any, Final, Literal, get_args

import orjson

from llm_service.domain import LLMServiceError, fact
from llm_service.observability import Log
from llm_service.providers import Account
from llm_service.runtime import Clock
from llm_service.storage import Bulletin, StoreUnavailable

NEWS_TOPIC: Final = "provider-news"
Endpoint = Literal["catalogue", "account"]


@fact
class News:
    """What came of asking a free endpoint. ``at``: Unix seconds. ``code`` and ``cause``: why it failed, if it did.

    Of accounts: whether calls would be paid for, and the figures as decimal texts, ``None`` where there is none.
    ``failing_since``: the first of the failures in a row that end with this one.
    """

    at: float
    code: str | None = None
    cause: str | None = None
    failing_since: float | None = None
    usable: bool = True
    balance: str | None = None
    currency: str | None = None
    limit_remaining_usd: str | None = None


NO_NEWS: Final = News(at=0.0)


class ProviderNews:
    """The news by provider and endpoint. ``bulletin`` is ``None`` where no messages are to be had."""

    def __init__(self, *, bulletin: Bulletin | None, clock: Clock, log: Log) -> None:
        self._bulletin = bulletin
        self._clock = clock
        self._log = log
        self._last: dict[tuple[str, Endpoint], News] = {}
        self._on_change: Callable[[str, Endpoint, News], None] = lambda provider, endpoint, news: None
        if bulletin is not None:
            bulletin.listen(NEWS_TOPIC, self._hear)

    def last(self, provider: str, endpoint: Endpoint) -> News | None:
        """What was said last, here or elsewhere."""
        return self._last.get((provider, endpoint))

    def on_change(self, tell: Callable[[str, Endpoint, News], None]) -> None:
        """Call back with news, from here or elsewhere, after which a provider stands otherwise than before."""
        self._on_change = tell

    async def tell(self, provider: str, endpoint: Endpoint, news: News) -> None:
        """Take the news in, and tell the other processes as far as they can be reached."""
        self._take(provider, endpoint, news)
        if self._bulletin is None:
            return
        text = orjson.dumps({"provider": provider, "endpoint": endpoint, **asdict(news)}).decode()
        try:
            await self._bulletin.publish(NEWS_TOPIC, text)
        except StoreUnavailable as away:
            self._log.debug("news of a provider not told", provider=provider, cause=str(away))

    def _hear(self, text: str) -> None:
        try:
            told: dict[str, Any] = orjson.loads(text)
            provider, endpoint = str(told.pop("provider")), told.pop("endpoint")
            del told["at"]  # hosts' clocks differ
            news = News(at=self._clock.time(), **told)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as garbage:
            self._log.debug("news of a provider not understood", cause=str(garbage))
            return
        if endpoint in get_args(Endpoint):
            self._take(provider, endpoint, news)

    def _take(self, provider: str, endpoint: Endpoint, news: News) -> None:
        before = self._last.get((provider, endpoint), NO_NEWS)
        self._last[provider, endpoint] = news
        if (before.code, before.usable) != (news.code, news.usable):
            self._on_change(provider, endpoint, news)


def failed(error: LLMServiceError, *, at: float, before: News | None) -> News:
    """The news that an endpoint failed; ``before``: what was said last."""
    since = before.failing_since if before is not None and before.failing_since is not None else at
    return News(at=at, code=error.code, cause=error.message, failing_since=since)


def answered(account: Account | None, *, at: float, before: News | None) -> News:
    """The news that an endpoint answered; an account without money is no failure, and lasts since its first one."""
    if account is None:
        return News(at=at)
    poor_since = None
    if not account.usable:
        poor_since = before.failing_since if before is not None and before.failing_since is not None else at
    return News(
        at=at,
        failing_since=poor_since,
        usable=account.usable,
        balance=_text(account.balance),
        currency=account.currency,
        limit_remaining_usd=_text(account.limit_remaining_usd),
    )


def balance_object(news: News | None) -> Mapping[str, str | None] | None:
    """What an account has, as the interface shows it; ``None`` where nobody knows."""
    if news is None or (news.balance is None and news.limit_remaining_usd is None):
        return None
    return {
        "amount": news.balance,
        "currency": news.currency,
        "limit_remaining_usd": news.limit_remaining_usd,
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
