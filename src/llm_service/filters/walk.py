"""What a model could read of a request: its texts, in the order in which they stand, and how one is replaced."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llm_service.filters.escapes import unescaped, whole_characters

Path = tuple[str | int, ...]
_HARMLESS: Final = "harmless"
_WORD: Final = "word"
_ID: Final = "id"
_DATA: Final = "data"
_PART: Final = "part"

# Not read by a model, or full of what filters take for something else. Whatever is not named here is judged.
# Only texts are left out: an object or a list in such a place is looked into.
HARMLESS: Final = (
    "model", "models.*", "user", "safety_identifier", "prompt_cache_key", "service_tier", "encoding_format",
)  # fmt: skip
"""Left out whatever they say: they stay with the provider."""
WORDS: Final = (
    "reasoning_effort", "tool_choice", "tool_choice.type", "response_format.type", "tools.*.type",
    "messages.*.role", "messages.*.tool_calls.*.type", "messages.*.content.*.type",
    "messages.*.content.*.image_url.detail", "messages.*.content.*.input_audio.format",
    "messages.*.content.*.cache_control.type", "messages.*.reasoning_details.*.type",
    "messages.*.reasoning_details.*.format",
)  # fmt: skip
"""Left out where they are words of the protocol: templates of models write some of them down as they come."""
IDS: Final = (
    "messages.*.tool_call_id", "messages.*.tool_calls.*.id", "messages.*.audio.id", "messages.*.content.*.id",
    "messages.*.content.*.file.file_id", "messages.*.reasoning_details.*.id",
)  # fmt: skip
"""Left out where they look like ids: some templates write these down as well."""
MEDIA: Final = (
    "messages.*.content.*.image_url", "messages.*.content.*.image_url.url", "messages.*.content.*.video_url.url",
    "messages.*.content.*.input_audio.data", "messages.*.content.*.file.file_data",
    "messages.*.content.*.source.data", "messages.*.images.*.image_url.url", "messages.*.reasoning_details.*.data",
    "messages.*.reasoning_details.*.signature",
)  # fmt: skip
"""Left out where they are base64: pictures, sounds, files, and what providers encrypt. Addresses are judged."""
PARTS: Final = (
    "messages.*.content.*", "messages.*.content.*.content.*", "messages.*.content.*.thinking.*",
    "messages.*.reasoning_details.*", "input.*.content.*", "prediction.content.*",
)  # fmt: skip
"""Pieces of one text, as a model reads them."""
PROTOCOL: Final = frozenset(
    """
    system developer user assistant tool function custom auto none required any validated
    minimal low medium high xhigh ultra max default original disabled enabled
    text json_object json_schema grammar structural_tag input_text output_text image_url input_image image video_url
    input_video video audio_url input_audio audio file input_file document refusal thinking redacted_thinking reference
    tool_use tool_result wav mp3 flac opus ogg aac m4a pcm16 pcm aiff webm mp4 ephemeral
    reasoning.text reasoning.summary reasoning.encrypted unknown openai-responses-v1 azure-openai-responses-v1
    xai-responses-v1 anthropic-claude-v1 google-gemini-v1
    web_search web_search_preview file_search code_interpreter computer_use_preview image_generation mcp local_shell
    """.split()
)

# Names of objects say something as well, those of a tool's parameters for one. These are the protocol's own.
KNOWN_NAMES: Final = frozenset(
    """
    model models messages user stream stream_options include_usage include_obfuscation temperature top_p top_k top_a
    min_p frequency_penalty presence_penalty repetition_penalty n best_of max_tokens max_completion_tokens seed stop
    logit_bias logprobs top_logprobs tools tool_choice parallel_tool_calls functions function_call response_format
    reasoning_effort reasoning metadata service_tier store modalities audio prediction verbosity web_search_options
    safety_identifier prompt_cache_key prompt_cache_retention prompt suffix echo input dimensions encoding_format
    provider providers route transforms plugins preset usage thinking prefix verbose logger cache_control ttl
    role content name refusal tool_calls tool_call_id id type function arguments text image_url url detail input_audio
    data format file file_data file_id filename video_url source media_type images reasoning_content reasoning_details
    signature summary annotations effort exclude enabled order only ignore sort allow_fallbacks require_parameters
    data_collection quantizations max_price
    json_schema schema strict description parameters properties required additionalProperties items enum const default
    examples anyOf oneOf allOf not if then else title minimum maximum exclusiveMinimum exclusiveMaximum multipleOf
    minLength maxLength pattern minItems maxItems uniqueItems prefixItems contains minProperties maxProperties
    patternProperties propertyNames dependentRequired dependentSchemas nullable deprecated readOnly writeOnly
    $schema $id $ref $defs $comment definitions
    """.split()
)
_is_base64: Final = re.compile(r"[A-Za-z0-9+/=_-]*\Z").match
_data_head: Final = re.compile(r"data:[A-Za-z0-9.+/;=_-]{0,200};base64,").match
_is_id: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_.:+/=|-]{1,256}\Z").match
_escaped: Final = re.compile(r"\\u[0-9a-fA-F]{4}").search
_Way = Any
"""How one comes to an object or a list: how to the one around it, and by which name or number; ``None``: the body."""


class _Place:
    """A place in bodies. ``mark``: what is done with a text there; ``members``, ``items``: the places below.

    ``is_part``: of the parts of a content.
    """

    __slots__ = ("is_part", "items", "mark", "members")

    def __init__(self) -> None:
        self.is_part = False
        self.mark: str | None = None
        self.members: dict[str, _Place] = {}
        self.items: _Place | None = None


def _made(*kinds: tuple[Sequence[str], str]) -> _Place:
    """The places as a tree, which a walk goes down in step."""
    tree = _Place()
    for places, mark in kinds:
        for path in places:
            place = tree
            for name in path.split("."):
                if name == "*":
                    place.items = place = place.items or _Place()
                else:
                    place = place.members.setdefault(name, _Place())
            place.is_part = place.is_part or mark is _PART
            place.mark = place.mark if mark is _PART else mark
    return tree


_Left = tuple[_Way, Any, _Place]
"""What is still to be walked."""
_PLACES: Final = _made((HARMLESS, _HARMLESS), (WORDS, _WORD), (IDS, _ID), (MEDIA, _DATA), (PARTS, _PART))
_NOWHERE: Final = _Place()


class Leaf:
    """One text: where it stands, and whether it is the name of a member there. ``text`` is what it becomes.

    ``is_part``: it is one of several parts of a content, which a model reads as one text.
    """

    __slots__ = ("_above", "is_name", "is_part", "name", "original", "text")

    def __init__(
        self, above: _Way, name: str | int, text: str, *, is_name: bool = False, is_part: bool = False
    ) -> None:
        self._above = above
        self.name = name
        self.original = self.text = text
        self.is_name = is_name
        self.is_part = is_part

    @property
    def path(self) -> Path:
        """The names and numbers that lead to it."""
        steps: list[str | int] = [self.name]
        way: Any = self._above
        while way is not None:
            way, step = way
            steps.append(step)
        return tuple(reversed(steps))

    @property
    def is_escaped(self) -> bool:
        """Whether it may be JSON, in which characters are escaped: arguments of calls are, results often."""
        if "\\" not in self.text or self.is_name:
            return False
        return self.name == "arguments" or _escaped(self.text) is not None

    @property
    def read(self) -> str:
        """The text as JSON reads, where it may be that; of the same length."""
        return whole_characters(unescaped(self.text)[0] if self.is_escaped else self.text)


class Unit:
    """What is judged as one text: a message, a tool, or another field of the body.

    ``where``: its path, for people; ``None`` under a name that nobody knows, which may be what a filter looks for.
    """

    __slots__ = ("leaves", "where")

    def __init__(self, where: str | None, leaves: Sequence[Leaf]) -> None:
        self.where = where
        self.leaves = leaves

    @property
    def joined(self) -> Sequence[Sequence[Leaf]]:
        """Pieces that a model reads with nothing between them: those of one name, whatever else stands around them."""
        parts = [leaf for leaf in self.leaves if leaf.is_part]
        if len(parts) < 2:
            return ()
        named: dict[str | int, list[Leaf]] = {}
        for leaf in parts:
            named.setdefault(leaf.name, []).append(leaf)
        rows = [row for row in named.values() if len(row) > 1]
        return rows if len(named) < 2 else [*rows, parts]


def units(body: Mapping[str, Any]) -> Iterator[Unit]:
    """Everything in a body that a model could read."""
    for name, value in body.items():
        place = _PLACES.members.get(name, _NOWHERE)
        known = name in KNOWN_NAMES
        if not known:
            yield Unit(None, [Leaf(None, name, name, is_name=True)])
        if type(value) is list:
            below = place.items or _NOWHERE
            for number, item in enumerate(value):
                if leaves := _leaves((None, name), number, item, below):
                    yield Unit(f"{name}[{number}]" if known else None, leaves)
        elif leaves := _leaves(None, name, value, place):
            yield Unit(name if known else None, leaves)


def _leaves(above: _Way, name: str | int, value: Any, place: _Place) -> list[Leaf]:
    """The texts at a place and below, those of an object before those of the objects and lists in it.

    Without recursion: bodies may be deep. Most of the time goes here, so nothing is made that is not needed.
    """
    found: list[Leaf] = []
    if type(value) is str:
        if value and not _is_left_out(value, place.mark):
            found.append(Leaf(above, name, value))
        return found
    left: list[_Left] = [((above, name), value, place)]
    while left:
        way, holder, place = left.pop()
        if type(holder) is dict:
            left += reversed(_members(way, holder, place, found))
        elif type(holder) is list:
            left += reversed(_items(way, holder, place, found))
    return found


def _members(way: _Way, holder: Mapping[str, Any], place: _Place, found: list[Leaf]) -> list[_Left]:
    """Adds the texts and names of an object; the objects and lists in it."""
    inner: list[_Left] = []
    known, is_part = place.members, place.is_part
    for name, member in holder.items():
        if name not in KNOWN_NAMES:
            found.append(Leaf(way, name, name, is_name=True))
        kind, below = type(member), known.get(name, _NOWHERE)
        if kind is str:
            if member and not (below.mark is not None and _is_left_out(member, below.mark)):
                found.append(Leaf(way, name, member, is_part=is_part))
        elif kind is dict or kind is list:
            inner.append(((way, name), member, below))
    return inner


def _items(way: _Way, holder: Sequence[Any], place: _Place, found: list[Leaf]) -> list[_Left]:
    """Adds the texts of a list; the objects and lists in it."""
    inner: list[_Left] = []
    below = place.items or _NOWHERE
    for number, item in enumerate(holder):
        kind = type(item)
        if kind is str:
            if item and not _is_left_out(item, below.mark):
                found.append(Leaf(way, number, item))
        elif kind is dict or kind is list:
            inner.append(((way, number), item, below))
    return inner


def _is_left_out(text: str, mark: str | None) -> bool:
    if mark is None:
        return False
    if mark is _WORD:
        return text in PROTOCOL
    if mark is _ID:
        return is_id(text)
    return mark is _HARMLESS or is_base64(text)


def is_base64(text: str) -> bool:
    """Whether a text is data: base64 alone, or as an address with its data in it (RFC 2397)."""
    head = _data_head(text)
    return _is_base64(text, 0 if head is None else head.end()) is not None


def is_id(text: str) -> bool:
    """Whether a text looks like an id: no blanks, and digits among its letters."""
    return _is_id(text) is not None


def together(leaves: Sequence[Leaf], gap: str, *, read: bool = True) -> str:
    """The texts of leaves as one; ``read``: as JSON reads, where it may be that."""
    text = gap.join([leaf.text for leaf in leaves])
    if text.isascii() and (not read or "\\" not in text):  # then they read as they stand
        return text
    return gap.join([leaf.read for leaf in leaves]) if read else whole_characters(text)


def has_token_ids(body: Mapping[str, Any]) -> bool:
    """Whether a prompt, or what is to be embedded, comes as numbers of tokens, which no filter can read.

    Or as what becomes of them in a model (vLLM's ``prompt_embeds``).
    """
    if body.get("prompt_embeds"):
        return True
    return any(_are_ids(body.get(name)) for name in ("prompt", "input", "prompt_token_ids"))


def _are_ids(value: Any) -> bool:
    """A list of numbers, or of such lists."""
    if type(value) is not list:
        return False
    return any(_is_number(one) or (type(one) is list and any(map(_is_number, one))) for one in value)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def spread(leaves: Sequence[Leaf], edits: Sequence[tuple[int, int, str]], *, gap: int) -> None:
    """Make edits of the leaves' texts put together, with ``gap`` characters between them.

    ``edits``: begin, end, and what stands there instead; in order, none over another. Of what reaches over several
    leaves, the first one gets what stands instead, and the others lose what was theirs.
    """
    at = number = 0
    placed = False
    for leaf in leaves:
        text, begins = leaf.text, at
        ends = begins + len(text)
        pieces: list[str] = []
        while number < len(edits) and edits[number][0] < ends:
            begin, end, instead = edits[number]
            if min(end, ends) > max(begin, at):
                pieces.append(text[at - begins : max(begin, at) - begins])
                pieces.append("" if placed else instead)
                at, placed = min(end, ends), True
            if end > ends:
                break
            number, placed = number + 1, False
        if pieces:
            leaf.text = "".join([*pieces, text[at - begins :]])
        at = ends + gap


class _Copy:
    """A body with other texts; the original stays as it is, and shares with the copy whatever is the same."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body: dict[str, Any] = dict(body)
        self._own: dict[Path, Any] = {(): self.body}

    def put(self, path: Path, text: str) -> None:
        self._owned(path[:-1])[path[-1]] = text

    def rename(self, path: Path, names: Mapping[str, str]) -> None:
        """Other names for members of the object at a path: inner objects before outer ones, texts before names.

        Members that would have the same name get a number each, so that none is lost.
        """
        holder = self._owned(path)
        members = [*holder.items()]
        holder.clear()
        taken = {name for name, _ in members if name not in names}
        numbers: dict[str, int] = {}
        for name, value in members:
            made = wanted = names.get(name, name)
            while name in names and made in taken:
                numbers[wanted] = numbers.get(wanted, 1) + 1
                made = f"{wanted}_{numbers[wanted]}"
            taken.add(made)
            holder[made] = value

    def _owned(self, path: Path) -> Any:
        """The object or list at a path, a copy of this body's own."""
        depth = len(path)
        while path[:depth] not in self._own:
            depth -= 1
        holder = self._own[path[:depth]]
        for step in range(depth, len(path)):
            name = path[step]
            inner = holder[name].copy()
            holder[name] = self._own[path[: step + 1]] = inner
            holder = inner
        return holder


def copied(body: Mapping[str, Any], changed: Sequence[Leaf]) -> Mapping[str, Any]:
    """The body with the texts of these leaves in their places."""
    copy = _Copy(body)
    renamed: dict[Path, dict[str, str]] = {}
    for leaf in changed:
        if leaf.is_name:
            renamed.setdefault(leaf.path[:-1], {})[leaf.original] = leaf.text
        else:
            copy.put(leaf.path, leaf.text)
    for path in sorted(renamed, key=len, reverse=True):
        copy.rename(path, renamed[path])
    return copy.body
