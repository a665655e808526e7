"""The event log of each generation, its readers, and the two forms of an answer."""

from llm_service.streams.forms import collect, encode, split
from llm_service.streams.generation import Generation
from llm_service.streams.kept import ReadyReply, ready_reply
from llm_service.streams.logged import LoggedReply
from llm_service.streams.options import StreamOptions
from llm_service.streams.shared import CANCEL_TOPIC, SharedStreams
from llm_service.streams.stream import Stream, stream_id_of
from llm_service.streams.streams import CANCELLED, Streams
from llm_service.streams.vitals import Vitals

__all__ = [
    "CANCELLED",
    "CANCEL_TOPIC",
    "Generation",
    "LoggedReply",
    "ReadyReply",
    "SharedStreams",
    "Stream",
    "StreamOptions",
    "Streams",
    "Vitals",
    "collect",
    "encode",
    "ready_reply",
    "split",
    "stream_id_of",
]
