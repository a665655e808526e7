"""Notices as messages of a Slack channel, through an incoming webhook."""

import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from llm_service.alerts.notice import Firing, Notice
from llm_service.alerts.notices.post import Poster, check
from llm_service.alerts.notices.text import labels_of, moment, state_of, summary_of, times_of, title

MOST_ALERTS: Final = 10
_SIGNS: Final = {"firing": ":rotating_light:", "resolved": ":white_check_mark:"}
_WORD: Final = re.compile(rb"[a-z_]{1,64}")


class SlackNotifier:
    """Posts notices to an incoming webhook. https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    async def deliver(self, notice: Notice) -> None:
        """Post the notice. Raises NoticeFailed, with Slack's word for what is wrong: ``channel_is_archived``."""
        answer = await self._poster.post(orjson.dumps(slack_body(notice)), {})
        word = _WORD.fullmatch(answer.body.strip())
        check(answer, self._poster.host, said=word[0].decode() if word else "")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._poster.aclose()


def slack_body(notice: Notice) -> dict[str, Any]:
    """A headline, two lines for each alert (ten at most), and when; ``text`` is for where blocks are not shown."""
    headline = title(notice)
    alerts = [*_alerts(notice)]
    return {
        "text": "\n".join((escaped(headline), *alerts)),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": headline, "emoji": False}},
            *({"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in alerts),
            {"type": "context", "elements": [{"type": "mrkdwn", "text": moment(notice.at)}]},
        ],
    }


def _alerts(notice: Notice) -> Iterator[str]:
    yield from map(_alert, notice.alerts[:MOST_ALERTS])
    if len(notice.alerts) > MOST_ALERTS:
        yield f"and {len(notice.alerts) - MOST_ALERTS} more"


def _alert(alert: Firing) -> str:
    rest = " · ".join(filter(None, (labels_of(alert), times_of(alert))))
    return f"{_SIGNS[state_of(alert)]} {escaped(summary_of(alert))}\n{escaped(rest)}"


def escaped(text: str) -> str:
    """The text without a link, a mention or a channel in it. https://docs.slack.dev/messaging/formatting-message-text"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


__all__ = ["SlackNotifier", "escaped", "slack_body"]
