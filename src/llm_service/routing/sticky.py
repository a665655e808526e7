"""Requests that begin alike go to the same deployment, so that its prompt cache is of use."""

import math
from hashlib import sha256
from typing import Any, Final

from llm_service.domain import ModelRequest
from llm_service.routing.way import Standings, Ways

MOST_CHARS: Final = 2048
"""So much of the beginning tells requests apart; providers' caches begin to count at some 1024 tokens."""
_MOST_TOKEN_IDS: Final = 256
_OVER: Final = 1.25
_UNIT: Final = 2.0**-53


def prefix_digest(request: ModelRequest) -> bytes:
    """What requests that begin alike have in common, in 32 bytes; the same in every process.

    Of the model's name and the client's own ``prompt_cache_key``. Without one: of the first 2048 characters of the
    system and developer messages before the first user message, and of that one; of the prompt or the input of other
    operations. Media do not count. No text can be had back from it.
    """
    body = request.body
    key = body.get("prompt_cache_key")
    if type(key) is str and key:
        begins = "key", key[:MOST_CHARS]
    elif request.operation == "chat":
        begins = "chat", _beginning(body["messages"])
    else:
        begins = request.operation, _head(body.get("prompt" if request.operation == "completion" else "input"))
    return sha256("\0".join((request.model, *begins)).encode("utf-8", "surrogatepass")).digest()


def _beginning(messages: Any) -> str:
    """What the instructions and the first user message say; who said it is marked, so that they do not run together."""
    said: list[str] = []
    left = MOST_CHARS
    for message in messages:
        role = message["role"]
        if role not in ("user", "system", "developer"):
            continue
        text = _text(message.get("content"), left)
        said.append(f"{role}:{text}")
        left -= len(text)
        if left <= 0 or role == "user":
            break
    return "\0".join(said)


def _text(content: Any, most: int) -> str:
    """The beginning of a message's text."""
    if type(content) is str:
        return content[:most]
    text = ""
    for part in content or ():
        piece = part.get("text")
        if type(piece) is str:
            text += piece[: most - len(text)]
            if len(text) == most:
                break
    return text


def _head(prompt: Any) -> str:
    """The beginning of the first prompt: a text, or token ids."""
    if type(prompt) is str:
        return prompt[:MOST_CHARS]
    if type(prompt) is not list or not prompt:
        return ""
    if type(prompt[0]) is str:
        return prompt[0][:MOST_CHARS]
    ids = prompt[0] if type(prompt[0]) is list else prompt
    return ",".join([str(number) for number in ids[:_MOST_TOKEN_IDS] if type(number) is int])[:MOST_CHARS]


def preferred(digest: bytes, ways: Ways, standings: Standings) -> int:
    """The place of the way that requests of this digest go to, of those with the lowest ``priority``. Needs a way.

    Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights as in Schindelhauer and Schomaker 2005): each way
    gets its share of the digests by weight, and one that joins or leaves moves only the digests that it wins or had.
    Bounded load (Mirrokni, Thorup, Zadimoghaddam 2018): one with more than 1.25 times its share of the requests in
    flight, plus 1, is passed over for the next; its share is the mean where weights are equal.
    """
    if len(ways) == 1:
        return 0
    tier = _lowest(ways)
    bound = _OVER * sum([standings[place].in_flight for place in tier]) / sum([ways[place].weight for place in tier])
    best, shortest = tier[0], math.inf
    for place in tier:
        way = ways[place]
        if standings[place].in_flight > bound * way.weight + 1.0:
            continue
        if (length := _length(digest, way.key, way.weight)) < shortest:
            best, shortest = place, length
    return best


def _lowest(ways: Ways) -> list[int]:
    priorities = [way.priority for way in ways]
    lowest = min(priorities)
    return [place for place, priority in enumerate(priorities) if priority == lowest]


def _length(digest: bytes, key: bytes, weight: float) -> float:
    """Exponentially distributed with the weight as rate: the shortest of some is each one's as often as it weighs."""
    bits = int.from_bytes(sha256(digest + key).digest()[:8], "big") >> 11
    return -math.log((bits + 0.5) * _UNIT) / weight
