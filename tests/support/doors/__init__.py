"""The doors of the service, each as a client of its raw wire, and all with one protocol."""

from tests.support.doors.asked import Options, chat
from tests.support.doors.door import Door, StreamingDoor
from tests.support.doors.graphql import GraphqlEvents, GraphqlMutation, GraphqlSocket
from tests.support.doors.reading import Reading
from tests.support.doors.rest import RestStreamed, RestWhole
from tests.support.doors.told import Call, Choice, Failure, Piece, Tokens, Told
from tests.support.doors.websocket import WebSocketDoor

STREAMING: tuple[StreamingDoor, ...] = (RestStreamed(), GraphqlSocket(), GraphqlEvents(), WebSocketDoor())
DOORS: tuple[Door, ...] = (RestWhole(), GraphqlMutation(), *STREAMING)

__all__ = [
    "DOORS",
    "STREAMING",
    "Call",
    "Choice",
    "Door",
    "Failure",
    "Options",
    "Piece",
    "Reading",
    "StreamingDoor",
    "Tokens",
    "Told",
    "chat",
]
