"""A mail server on loopback that keeps what it accepts, and says what a test wants it to say."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP

from tests.support.raw_server import serving

GREETED = {"starttls": "250-STARTTLS", "auth": "250-AUTH PLAIN LOGIN"}


@dataclass
class Mail:
    sender: str
    to: list[str]
    raw: bytes
    login: str | None
    encrypted: bool

    @property
    def message(self) -> EmailMessage:
        parsed = BytesParser(policy=SMTP).parsebytes(self.raw)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def part(self, kind: str) -> str:
        """The text of the part of that kind."""
        part = self.message.get_body((kind,))
        assert part is not None
        text = part.get_content()
        assert isinstance(text, str)
        return text


@dataclass
class MailReceiver:
    """``replies``: for the beginning of a command, what is said in place of the usual, one after the other.

    ``stuck``: at which command it falls silent. ``lines`` has every command of all connections.
    """

    offers: tuple[str, ...] = ("auth",)
    tls: ssl.SSLContext | None = None
    replies: dict[str, list[str]] = field(default_factory=dict)
    stuck: str | None = None
    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await _Session(self, reader, writer).run()

    def scripted(self, line: str) -> str | None:
        for begins, replies in self.replies.items():
            if line.upper().startswith(begins.upper()) and replies:
                return replies.pop(0)
        return None


class _Session:
    def __init__(self, server: MailReceiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.login: str | None = None
        self.sender = ""
        self.to: list[str] = []
        self.encrypted = False

    async def run(self) -> None:
        await self.say(self.server.scripted("greeting") or "220 mail.test ESMTP")
        while line := (await self.reader.readline()).decode().rstrip("\r\n"):
            self.server.lines.append(line)
            verb = line.split(" ")[0].upper()
            if self.server.stuck == verb:
                await asyncio.Event().wait()
            scripted = self.server.scripted(line)
            if scripted == "close":
                return
            if scripted is not None:
                await self.say(scripted)
            elif verb == "QUIT":
                await self.say("221 2.0.0 bye")
                return
            else:
                await self.obey(verb, line)

    async def obey(self, verb: str, line: str) -> None:
        match verb:
            case "EHLO":
                offers = [GREETED[offer] for offer in self.server.offers if offer != "starttls" or not self.encrypted]
                await self.say("\r\n".join(("250-mail.test", *offers, "250 HELP")))
            case "STARTTLS":
                assert self.server.tls is not None
                await self.say("220 2.0.0 go ahead")
                await self.writer.start_tls(self.server.tls)
                self.encrypted = True
            case "AUTH":
                self.login = base64.b64decode(line.split(" ")[2]).decode().replace("\0", " ").strip()
                await self.say("235 2.7.0 welcome")
            case "MAIL":
                self.sender, self.to = _address(line), []
                await self.say("250 2.1.0 ok")
            case "RCPT":
                self.to.append(_address(line))
                await self.say("250 2.1.5 ok")
            case "DATA":
                await self.say("354 go on")
                raw = await self.reader.readuntil(b"\r\n.\r\n")
                await self.say(self.server.scripted("accepting") or "250 2.0.0 kept")
                self.server.mails.append(Mail(self.sender, self.to, raw[:-3], self.login, self.encrypted))
            case _:
                await self.say("250 2.0.0 ok")

    async def say(self, reply: str) -> None:
        self.writer.write(f"{reply}\r\n".encode())
        await self.writer.drain()


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


@asynccontextmanager
async def receiving(receiver: MailReceiver) -> AsyncIterator[MailReceiver]:
    """The server listens until the block ends."""
    async with serving(receiver.serve) as address:
        receiver.port = int(address.rpartition(":")[2])
        yield receiver
