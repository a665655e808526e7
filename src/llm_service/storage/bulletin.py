"""Short messages to every process: within one process, and by the publishing of a shared store."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from llm_service.runtime import Clock, OnFailure, Tasks
from llm_service.storage.ports import StoreUnavailable
from llm_service.storage.valkey_causes import is_from_store
from llm_service.storage.valkey_client import ValkeyClient
from llm_service.storage.valkey_wire import Wire

Hear = Callable[[str], None]

_RECONNECT_S: Final = 0.25
_PINGS: Final = 3


class _Listeners:
    """Who hears what. A listener that fails is reported, and keeps nobody else from hearing."""

    def __init__(self, on_failure: OnFailure) -> None:
        self._by_topic: dict[str, list[Hear]] = {}
        self._on_failure = on_failure

    def __iter__(self) -> Any:
        return iter(self._by_topic)

    def add(self, topic: str, hear: Hear) -> None:
        self._by_topic.setdefault(topic, []).append(hear)

    def clear(self) -> None:
        self._by_topic.clear()

    def tell(self, topic: str, text: str) -> None:
        for hear in tuple(self._by_topic.get(topic, ())):
            try:
                hear(text)
            except Exception as error:  # noqa: BLE001 - a listener's mistake, reported
                self._on_failure(f"listener to {topic}", error)


class ProcessBulletin:
    """For one process alone: whoever publishes has told everybody by the time it goes on."""

    def __init__(self, on_failure: OnFailure) -> None:
        self._listeners = _Listeners(on_failure)

    async def publish(self, topic: str, text: str) -> None:
        """Tell all listeners of this process."""
        self._listeners.tell(topic, text)

    def listen(self, topic: str, hear: Hear) -> None:
        """Call back with every message on a topic from now on."""
        self._listeners.add(topic, hear)

    async def aclose(self) -> None:
        """Hear no more."""
        self._listeners.clear()


class ValkeyBulletin:
    """For all processes that share a store, on its channels ``<prefix>bulletin:<topic>``; its own messages too.

    What is published while a listener's line to the store is down, that listener does not hear. A line on which not
    even our pings are answered for ``silent_s`` is dead, though nobody said so.
    """

    def __init__(
        self,
        client: ValkeyClient,
        *,
        prefix: str,
        clock: Clock,
        source: random.Random,
        on_failure: OnFailure,
        silent_s: float = 3.0,
    ) -> None:
        self._client = client
        self._prefix = f"{prefix}bulletin:"
        self._clock = clock
        self._random = source
        self._on_failure = on_failure
        self._listeners = _Listeners(on_failure)
        self._tasks = Tasks(on_failure)
        self._line: Wire | None = None
        self._silent_s = silent_s

    async def publish(self, topic: str, text: str) -> None:
        """Tell all processes. Raises StoreUnavailable."""
        await self._client.publish(self._prefix + topic, text)

    def listen(self, topic: str, hear: Hear) -> None:
        """Call back with every message on a topic from soon on, reconnecting as needed; needs a running event loop."""
        is_first = not tuple(self._listeners)
        is_new = topic not in tuple(self._listeners)
        self._listeners.add(topic, hear)
        if is_first:
            self._tasks.spawn(self._keep_listening(), name="bulletin")
        elif is_new and self._line is not None:
            self._tasks.spawn(self._subscribe(self._line, topic), name="bulletin subscription")

    async def aclose(self) -> None:
        """Hear no more."""
        await self._tasks.aclose()
        self._listeners.clear()

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception as error:  # noqa: BLE001 - the store's troubles are in its state; ours are reported
                if not isinstance(error, StoreUnavailable) and not is_from_store(error):
                    self._on_failure("bulletin", error)
            await self._clock.sleep(_RECONNECT_S * self._random.uniform(0.8, 1.2))

    async def _listen_once(self) -> None:
        line = await self._client.open()
        pings: asyncio.Task[None] | None = None
        try:
            self._line = line  # who listens from now on subscribes by itself
            await line.send("SUBSCRIBE", *(self._prefix + topic for topic in self._listeners))
            pings = self._tasks.spawn(self._ping(line), name="bulletin pings")
            while True:
                async with asyncio.timeout(self._silent_s):
                    message = await line.read()
                self._hear(message)
        finally:
            self._line = None
            if pings is not None:
                pings.cancel()
            await line.drop()

    def _hear(self, message: list[Any]) -> None:
        if message[0] == b"message":
            topic = message[1].decode().removeprefix(self._prefix)
            self._listeners.tell(topic, message[2].decode("utf-8", "replace"))

    async def _subscribe(self, line: Wire, topic: str) -> None:
        await _said(line, "SUBSCRIBE", self._prefix + topic)

    async def _ping(self, line: Wire) -> None:
        while await _said(line, "PING"):
            await self._clock.sleep(self._silent_s / _PINGS)


async def _said(line: Wire, *command: str) -> bool:
    """Whether it could be sent; a line that has broken is noticed by who reads it."""
    try:
        await line.send(*command)
    except Exception as error:
        if not is_from_store(error):
            raise
        return False
    return True
