"""The streams that a revoked key may not be read with any more."""

from collections.abc import Callable
from typing import cast

from llm_service.api.rest.open_streams import OpenStreams
from llm_service.domain import KeyRevoked, LLMServiceError
from llm_service.services import Authenticator
from llm_service.streams import Stream


class Revocations:
    """An authenticator that tells of revocations by hand."""

    def __init__(self) -> None:
        self.told: list[Callable[[str], None]] = []

    def on_revoked(self, callback: Callable[[str], None]) -> None:
        self.told.append(callback)

    def off_revoked(self, callback: Callable[[str], None]) -> None:
        self.told.remove(callback)


class Reader:
    def __init__(self) -> None:
        self.error: LLMServiceError | None = None

    def cut(self, error: LLMServiceError) -> None:
        self.error = error


def read_stream(owner: str) -> tuple[Stream, Reader]:
    stream, reader = Stream(id=f"str_{owner}", request_id="req_1", owner=owner, include_usage=False), Reader()
    stream.sinks.append(reader)
    return stream, reader


def test_a_revocation_ends_the_streams_of_its_key_alone() -> None:
    revocations = Revocations()
    streams = OpenStreams(cast("Authenticator", revocations))
    (own, own_reader), (other, other_reader) = read_stream("key_1"), read_stream("key_2")
    streams.add(own)
    streams.add(other)
    (tell,) = revocations.told
    tell("key_1")
    assert isinstance(own_reader.error, KeyRevoked)
    assert other_reader.error is None


def test_a_stream_counts_until_its_last_reader_is_gone_and_nobody_listens_afterwards() -> None:
    revocations = Revocations()
    streams = OpenStreams(cast("Authenticator", revocations))
    stream, reader = read_stream("key_1")
    for _ in range(2):
        streams.add(stream)
    streams.remove(stream)
    (tell,) = revocations.told
    tell("key_1")
    assert isinstance(reader.error, KeyRevoked)
    streams.remove(stream)
    assert revocations.told == []
