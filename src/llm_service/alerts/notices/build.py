"""Makes the notifiers that the settings name, each behind a queue of its own."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Iterable, Mapping
from typing import Final, Protocol

from llm_service.alerts.notice import Notice
from llm_service.alerts.notices.options import NotifierOptions
from llm_service.alerts.notices.post import Poster
from llm_service.alerts.notices.retry import Outbox, Told
from llm_service.alerts.notices.slack import SlackNotifier
from llm_service.alerts.notices.webhook import WebhookNotifier
from llm_service.domain import Secret, fact_in_order
from llm_service.runtime import Clock, OnFailure
from llm_service.transport import HttpTransport

MOST_CONNECTIONS: Final = 2


class Channel(Protocol):
    """A notifier with connections."""

    async def deliver(self, notice: Notice) -> None:
        """Deliver the notice. Raises NoticeFailed."""

    async def aclose(self) -> None:
        """Abort what runs and close the connections."""


@fact_in_order
class Notifiers:
    """All that are configured: ``by_name`` takes notices and returns at once."""

    by_name: Mapping[str, Outbox]
    channels: Mapping[str, Channel]

    async def aclose(self) -> None:
        """Deliver what has just come, within a few seconds, and close all connections."""
        await _all(outbox.aclose() for outbox in self.by_name.values())
        await _all(channel.aclose() for channel in self.channels.values())


def build_notifiers(
    options: Mapping[str, NotifierOptions], *, clock: Clock, dice: random.Random, told: Told, on_failure: OnFailure
) -> Notifiers:
    """The notifiers by their names. Call it on the running event loop.

    Raises OSError where a ``ca_file`` cannot be used.
    """
    channels = {name: build_channel(name, one, clock=clock, on_failure=on_failure) for name, one in options.items()}
    outboxes = {
        name: Outbox(
            name,
            channel,
            retry_for_s=options[name].retry_for_s,
            clock=clock,
            dice=dice,
            told=told,
            on_failure=on_failure,
        )
        for name, channel in channels.items()
    }
    return Notifiers(outboxes, channels)


def build_channel(name: str, options: NotifierOptions, *, clock: Clock, on_failure: OnFailure) -> Channel:
    """One channel. Its options have no problems."""
    match options.kind:
        case "webhook":
            poster = _poster(options.url, options, clock=clock, on_failure=on_failure)
            return WebhookNotifier(name, poster, headers=options.headers, secret=options.secret, clock=clock)
        case "slack":
            return SlackNotifier(_poster(options.webhook_url, options, clock=clock, on_failure=on_failure))
        case "email":
            return _email(options, clock)


def _poster(url: Secret | None, options: NotifierOptions, *, clock: Clock, on_failure: OnFailure) -> Poster:
    if url is None:
        raise ValueError("the notifier has no address")
    tls = None if options.ca_file is None else ssl.create_default_context(cafile=str(options.ca_file))
    transport = HttpTransport(max_connections=MOST_CONNECTIONS, on_failure=on_failure, tls=tls)
    return Poster(url, transport=transport, clock=clock, timeout_s=options.timeout_s)


def _email(options: NotifierOptions, clock: Clock) -> Channel:
    """Loads what makes and sends mail only where mail is sent: smtplib and the rest take 2 MB and 20 ms."""
    from llm_service.alerts.notices.email import EmailNotifier
    from llm_service.alerts.notices.smtp import MailServer

    if options.host is None or options.sender is None:
        raise ValueError("the notifier has no mail server or no sender")
    cafile = None if options.ca_file is None else str(options.ca_file)
    server = MailServer(
        host=options.host,
        port=options.mail_port,
        encryption=options.encryption,
        login=None if options.user is None or options.password is None else (options.user, options.password),
        tls=None if options.encryption == "none" else ssl.create_default_context(cafile=cafile),
    )
    return EmailNotifier(server, sender=options.sender, to=options.to, clock=clock, timeout_s=options.timeout_s)


async def _all(closings: Iterable[Awaitable[None]]) -> None:
    """All at once, and each to its end; the first failure is raised afterwards."""
    results = await asyncio.gather(*closings, return_exceptions=True)
    for failure in filter(None, results):
        raise failure


__all__ = ["Channel", "Notifiers", "build_channel", "build_notifiers"]
