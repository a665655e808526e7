"""Notices as e-mail: what the message says, and its way to a mail server by the standard library's client."""

import hashlib
from collections import OrderedDict
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from typing import Final

from llm_service.alerts.notice import Firing, Notice, NoticeFailed
from llm_service.alerts.notices.smtp import MailServer, Refused, Sending
from llm_service.alerts.notices.text import labels_of, moment, rule_of, state_of, summary_of, times_of, title
from llm_service.runtime import Clock

MOST_ALERTS: Final = 50
MOST_KNOWN: Final = 64
_POLICY: Final = SMTP.clone(cte_type="7bit")  # any server takes it, whether it knows 8BITMIME or not
_COLOURS: Final = {"firing": "#b42318", "resolved": "#067647"}


class EmailNotifier:
    """Mails notices. Who has accepted one is not sent it again when others have not.

    One mail is on its way at a time, in a thread of its own, which ends with the time limit.
    """

    def __init__(self, server: MailServer, *, sender: str, to: tuple[str, ...], clock: Clock, timeout_s: float) -> None:
        self._server = server
        self._sender = sender
        self._to = to
        self._clock = clock
        self._timeout_s = timeout_s
        self._sending: Sending | None = None
        self._accepted: OrderedDict[str, frozenset[str]] = OrderedDict()

    @property
    def busy(self) -> bool:
        """Whether the thread of an attempt is at work."""
        return self._sending is not None and self._sending.runs

    async def deliver(self, notice: Notice) -> None:
        """Mail the notice to all who have not accepted it before. Raises NoticeFailed."""
        if self.busy:
            raise NoticeFailed(f"{self._server.host}: the attempt before has not ended")
        message = mail_of(notice, sender=self._sender, to=self._to)
        known = str(message["message-id"])
        before = self._accepted.get(known, frozenset())
        left = [address for address in self._to if address not in before]
        refused = await self._send(message, left)
        if refused:
            self._accepted[known] = before.union(left).difference(refused)
            if len(self._accepted) > MOST_KNOWN:
                self._accepted.popitem(last=False)
            raise self._refusal(refused)
        self._accepted.pop(known, None)

    async def _send(self, message: EmailMessage, to: list[str]) -> Refused:
        sending = self._sending = Sending(
            self._server, sender=self._sender, to=to, message=message.as_bytes(), timeout_s=self._timeout_s
        )
        timer = self._clock.call_later(self._timeout_s, sending.expire)
        try:
            return await sending.sent()
        finally:
            timer.cancel()
            sending.abort()

    def _refusal(self, refused: Refused) -> NoticeFailed:
        """Worth another try while one of the refusals is for now only, as those of greylisting are."""
        passing = [refusal for refusal in refused.values() if not refusal.lasting]
        shown = (passing or [*refused.values()])[0].shown
        message = f"{self._server.host} refused {len(refused)} of {len(self._to)} recipients ({shown})"
        return NoticeFailed(message, lasting=not passing)

    async def aclose(self) -> None:
        """End what is on its way."""
        if self._sending is not None:
            self._sending.abort()


def mail_of(notice: Notice, *, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The message, the same for each attempt: mail programs know by its Message-ID what they have already.

    All notices of a group are one conversation. Auto-Submitted keeps automatic answers away (RFC 3834).
    """
    domain = sender.rpartition("@")[2]
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = title(notice)
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Date"] = notice.at
    message["Message-ID"] = f"<{_digest(notice.group, notice.status, notice.at.isoformat(), notice.instance)}@{domain}>"
    message["References"] = f"<{_digest(notice.group, notice.instance)}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"  # Exchange's word for the same
    message.set_content(plain_text(notice))
    message.add_alternative(html_text(notice), subtype="html")
    return message


def plain_text(notice: Notice) -> str:
    """The title, and a paragraph for each alert (fifty at most)."""
    paragraphs = [title(notice), *map(_paragraph, notice.alerts[:MOST_ALERTS])]
    if len(notice.alerts) > MOST_ALERTS:
        paragraphs.append(f"and {len(notice.alerts) - MOST_ALERTS} more")
    return "\n\n".join((*paragraphs, moment(notice.at))) + "\n"


def _paragraph(alert: Firing) -> str:
    lines = (f"{state_of(alert).upper()} {rule_of(alert)}", summary_of(alert), labels_of(alert), times_of(alert))
    return "\n".join(filter(None, lines))


def html_text(notice: Notice) -> str:
    """The same for mail programs that show HTML: no picture, no script, no style sheet."""
    rows = "".join(map(_row, notice.alerts[:MOST_ALERTS]))
    more = len(notice.alerts) - MOST_ALERTS
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return (
        f'<!doctype html><html lang="en"><body><h1 style="font-size:1.1em">{escape(title(notice))}</h1>'
        f"{rows}{rest}<p>{escape(moment(notice.at))}</p></body></html>\n"
    )


def _row(alert: Firing) -> str:
    state = state_of(alert)
    lines = "<br>\n".join(escape(line) for line in (summary_of(alert), labels_of(alert), times_of(alert)) if line)
    return (
        f'<p><b style="color:{_COLOURS[state]}">{state.upper()}</b> <b>{escape(rule_of(alert))}</b><br>\n{lines}</p>\n'
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


__all__ = ["EmailNotifier", "html_text", "mail_of", "plain_text"]
