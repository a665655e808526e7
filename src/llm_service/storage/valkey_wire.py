"""One connection to one Valkey or Redis server process: it never connects anew by itself."""

import asyncio
import math
import ssl
from collections.abc import Mapping
from typing import Any, Final

from llm_service.storage.valkey_address import Endpoint, Login, TlsFiles

Word = str | int | bytes
"""A part of a command."""

_COMMON: Final[Mapping[str, Any]] = {
    "protocol": 2,
    "socket_timeout": None,
    "socket_connect_timeout": None,
    "driver_info": None,
    "maint_notifications_config": None,
}
"""Deadlines are the caller's; nothing is asked of the server at connecting but what a password and a database need."""


class Wire:
    """A connection that was made once; after any failure it is good for nothing but to be closed."""

    __slots__ = ("_connection", "_reader")

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._reader = connection._reader  # another one would belong to another connection, made behind our back

    async def ask(self, *command: Word) -> Any:
        """Send one command and read its reply. Raises redis-py's errors, for error replies as well."""
        self._check()
        await self._connection.send_command(*command, check_health=False)
        return await self._connection.read_response(timeout=math.inf)

    async def send(self, *command: Word) -> None:
        """Send a command whose reply another task reads (subscriptions)."""
        self._check()
        await self._connection.send_command(*command, check_health=False)

    async def read(self) -> Any:
        """Read the next reply or message."""
        self._check()
        return await self._connection.read_response(timeout=math.inf)

    async def is_idle(self) -> bool:
        """Whether it can take a command: still open, and with nothing to be read."""
        return self._is_first() and not await self._connection.can_read()

    async def drop(self) -> None:
        """Close it without waiting; idempotent."""
        await self._connection.disconnect(nowait=True)

    def _is_first(self) -> bool:
        return self._reader is not None and self._connection._reader is self._reader

    def _check(self) -> None:
        if not self._is_first():
            raise ConnectionResetError("the connection was closed")


def load_library() -> None:
    """Import redis-py, 0.1 s of work that no deadline of a connection should hold."""
    import redis.asyncio  # noqa: F401


async def open_wire(endpoint: Endpoint, login: Login, *, tls: ssl.SSLContext | None, database: int = 0) -> Wire:
    """Connect and log in. Raises redis-py's errors and OSError; bound it by a deadline."""
    connection = _connection(endpoint, login, tls=tls, database=database)
    try:
        await connection.connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return Wire(connection)


def tls_context(files: TlsFiles | None) -> ssl.SSLContext | None:
    """Verifies the server's certificate and name. Raises OSError where a file is missing or is none; reads files."""
    if files is None:
        return None
    context = ssl.create_default_context(cafile=files.ca_file)
    if files.cert_file is not None:
        context.load_cert_chain(files.cert_file, files.key_file)
    return context


def _connection(endpoint: Endpoint, login: Login, *, tls: ssl.SSLContext | None, database: int) -> Any:
    from redis.asyncio import Connection, SSLConnection, UnixDomainSocketConnection

    who: dict[str, Any] = {"db": database, "username": login.username, **_COMMON}
    if login.password is not None:
        who["password"] = login.password.reveal()
    if endpoint.path:
        return UnixDomainSocketConnection(path=endpoint.path, **who)
    if tls is None:
        return Connection(host=endpoint.host, port=endpoint.port, **who)
    connection = SSLConnection(host=endpoint.host, port=endpoint.port, **who)
    connection.ssl_context.context = tls  # made once: reading the authorities takes some 10 ms each time
    return connection


async def dropped_after(wire: Wire, *command: Word) -> Any:
    """The reply to the only command of a connection."""
    try:
        return await wire.ask(*command)
    finally:
        await asyncio.shield(wire.drop())
