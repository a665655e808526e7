"""One mail to one server, by smtplib in a thread of its own that can be ended from the event loop."""

import asyncio
import os
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from llm_service.alerts.notice import NoticeFailed
from llm_service.alerts.notices.options import Encryption
from llm_service.domain import Secret, fact, fact_in_order

_ENHANCED: Final = re.compile(rb"[245]\.\d{1,3}\.\d{1,3}")  # RFC 3463


@fact
class MailServer:
    """Where mail is handed in. ``login``: user and password; ``tls``: whom to trust, None: mail goes in clear."""

    host: str
    port: int
    encryption: Encryption
    login: tuple[str, Secret] | None
    tls: ssl.SSLContext | None


@fact_in_order
class Refusal:
    """Of a recipient. ``shown``: the codes alone, for the server's own words may repeat what it was told."""

    shown: str
    lasting: bool


Refused = dict[str, Refusal]


class Sending:
    """A mail on its way. Its thread ends when it is aborted, but for a look-up of the server's name."""

    def __init__(self, server: MailServer, *, sender: str, to: Sequence[str], message: bytes, timeout_s: float) -> None:
        self._server = server
        self._sender = sender
        self._to = to
        self._message = message
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._result: asyncio.Future[Refused] = self._loop.create_future()
        self._aborted = False
        self._handle: socket.socket | None = None
        # A daemon: neither the event loop nor the process waits for a server that says nothing.
        self._thread = threading.Thread(target=self._run, name=f"mail to {server.host}", daemon=True)
        self.runs = False
        """Whether the thread is at work."""

    async def sent(self) -> Refused:
        """Send it now. Those of the recipients that were refused, and how. Raises NoticeFailed."""
        self.runs = True
        self._thread.start()
        return await self._result

    def expire(self) -> None:
        """The time is over."""
        self._tell(NoticeFailed(f"{self._server.host} did not take the mail in time"))

    def abort(self) -> None:
        """End the connection, and with it whatever the thread waits for."""
        self._aborted = True
        if self._handle is not None:
            with suppress(OSError):  # the server has ended it before
                self._handle.shutdown(socket.SHUT_RDWR)
            self._handle.close()

    def _tell(self, result: Refused | Exception) -> None:
        if self._result.done():
            return
        if isinstance(result, Exception):
            self._result.set_exception(result)
        else:
            self._result.set_result(result)

    # -- in the thread

    def _run(self) -> None:
        result: Refused | Exception
        try:
            result = self._send()
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            result = failure_of(error, self._server.host)
        self.runs = False
        with suppress(RuntimeError):  # the event loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._tell, result)

    def _send(self) -> Refused:
        with self._connected() as connection, _Client(connection, self._server.host, self._sender) as client:
            if self._server.encryption == "starttls":
                client.starttls(context=self._server.tls)
            if self._server.login is not None:
                user, password = self._server.login
                client.login(user, password.reveal())
            try:
                refused = client.sendmail(self._sender, self._to, self._message)
            except smtplib.SMTPRecipientsRefused as error:  # nobody gets it; of some it may not have been said
                refused = {address: error.recipients.get(address, (421, b"")) for address in self._to}
            return {address: _refusal(*answer) for address, answer in refused.items()}

    def _connected(self) -> socket.socket:
        server = self._server
        connection = socket.create_connection((server.host, server.port), timeout=self._timeout_s)
        try:
            # A second handle on the same connection: TLS takes the first one over.
            self._handle = connection.dup()
            if self._aborted:
                self.abort()
            if server.encryption == "tls" and server.tls is not None:
                return server.tls.wrap_socket(connection, server_hostname=server.host)
        except BaseException:
            connection.close()
            raise
        return connection


class _Client(smtplib.SMTP):
    """smtplib's client on a connection that stands."""

    def __init__(self, connection: socket.socket, host: str, sender: str) -> None:
        """Raises SMTPConnectError where the server does not greet."""
        self._connection = connection
        # Named after the sender's domain: to find out this machine's own name may take a look-up without end.
        super().__init__(host, local_hostname=sender.rpartition("@")[2])

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._connection

    def __exit__(self, *_: object) -> None:
        """Say goodbye, and wait for no answer: what was accepted is accepted."""
        with suppress(OSError, smtplib.SMTPException):  # it is gone already
            self.putcmd("quit")
        self.close()


def failure_of(error: Exception, host: str) -> Exception:
    """What went wrong, in words that name the server and no secret; a defect stays as it is."""
    match error:
        case smtplib.SMTPAuthenticationError():
            refusal = _refusal(error.smtp_code, error.smtp_error)
            return NoticeFailed(f"{host} refused the login ({refusal.shown})", lasting=refusal.lasting)
        case smtplib.SMTPResponseException():
            refusal = _refusal(error.smtp_code, error.smtp_error)
            return NoticeFailed(f"{host} refused the mail ({refusal.shown})", lasting=refusal.lasting)
        case smtplib.SMTPNotSupportedError():
            return NoticeFailed(f"{host} does not offer STARTTLS, or a login, as it is set to", lasting=True)
        case smtplib.SMTPException():
            return NoticeFailed(f"{host}: the connection closed before the mail was accepted")
        case ssl.SSLCertVerificationError():
            return NoticeFailed(f"{host}: TLS failed: {error.verify_message}")
        case ssl.SSLError():
            return NoticeFailed(f"{host}: TLS failed: {error.reason or 'the handshake was refused'}")
        case TimeoutError():
            return NoticeFailed(f"{host} did not answer in time")
        case OSError():
            said = os.strerror(error.errno) if error.errno and error.errno > 0 else "the name is not known"
            return NoticeFailed(f"{host}: cannot connect: {said}")
        case _:
            return error


def _refusal(code: int, said: bytes | str) -> Refusal:
    """What a reply means: 4xx for now, 5xx for good. RFC 5321, section 4.2.1."""
    text = said.encode() if isinstance(said, str) else said
    enhanced = _ENHANCED.match(text)
    return Refusal(f"{code} {enhanced[0].decode()}" if enhanced else str(code), lasting=500 <= code < 600)


__all__ = ["MailServer", "Refusal", "Refused", "Sending"]
