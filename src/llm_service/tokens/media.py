"""What a message holds beside text: images, sounds and files, with the stated rules for their tokens."""

from collections.abc import Mapping
from typing import Final

from llm_service.tokens.families import bare_name, begins

_IMAGES: Final = frozenset({"image_url", "input_image", "image"})
_RECORDINGS: Final = frozenset({"input_audio", "audio", "video_url", "input_video"})
_FILES: Final = frozenset({"file", "input_file", "document"})

# The most an image costs at a detail of low and of high (auto, or none stated, may mean high): its size is not known
# here, and not worth a download. From OpenAI's vision guide (tiles, or 32-pixel patches times a factor), with what was
# seen billed where that differs, and from DeepSeek's API reference; both as of 2026-11. The first row that fits.
_IMAGE_TOKENS: Final = (
    ("gpt-4o-mini", 2_833, 48_169),
    ("gpt-4.1-mini", 3_814, 3_814),
    ("gpt-4.1-nano", 3_814, 3_814),
    ("gpt-5-mini", 3_814, 3_814),
    ("gpt-5-nano", 3_814, 3_814),
    ("o4-mini", 3_814, 3_814),
    ("gpt-4*", 85, 1_536),
    ("o1", 85, 1_536),
    ("o3", 85, 1_536),
    ("deepseek*", 1_024, 1_024),
    ("*", 3_000, 3_000),
)
_ORIGINAL_TOKENS: Final = 12_000  # gpt-5.4 and later take 10,000 patches at detail: original

# Inline data by its length in base64; what is only named by an address or an id costs the least.
_RECORDING_CHARS_PER_TOKEN: Final = 80  # a spoken second: 32 tokens, at 16 kbit/s
_RECORDING_CHARS_PER_TOKEN_AT_LEAST: Final = 8  # for bounds: video of few pictures, speech at 6 kbit/s
_RECORDING_LEAST_TOKENS: Final = 1_000
_FILE_CHARS_PER_TOKEN: Final = 16
_FILE_LEAST_TOKENS: Final = 3_000


def is_medium(part: Mapping[str, object]) -> bool:
    """True for a content part that is not text."""
    kind = part.get("type")
    return isinstance(kind, str) and (kind in _IMAGES or kind in _RECORDINGS or kind in _FILES)


def medium_tokens(part: Mapping[str, object], *, model: str) -> int:
    """The tokens of one part that ``is_medium``, by rule of thumb and rather too many than too few."""
    if part["type"] in _IMAGES:
        return _image_tokens(part, model)
    data_chars = _longest_text(part)
    if part["type"] in _RECORDINGS:
        return max(_RECORDING_LEAST_TOKENS, data_chars // _RECORDING_CHARS_PER_TOKEN)
    return max(_FILE_LEAST_TOKENS, data_chars // _FILE_CHARS_PER_TOKEN)


def bounded_medium(part: Mapping[str, object], *, model: str) -> int:
    """The most that a part costs beyond the bytes of its JSON; negative where its inline data is longer than that.

    A file may be text, so that its data counts in full, and its pages beside.
    """
    tokens = medium_tokens(part, model=model)
    if part["type"] in _FILES:
        return tokens
    data_chars = _data_chars(part)
    if part["type"] in _RECORDINGS:
        tokens = max(tokens, data_chars // _RECORDING_CHARS_PER_TOKEN_AT_LEAST)
    return tokens - data_chars


def _data_chars(part: Mapping[str, object]) -> int:
    """Length of what is certainly data and not text: of ``data:`` addresses, and of the ``data`` of a recording."""
    named = part["type"] in _RECORDINGS
    total = 0
    for holder in (part, *(value for value in part.values() if isinstance(value, Mapping))):
        for name, value in holder.items():
            if isinstance(value, str) and (value.startswith("data:") or (named and name == "data")):
                total += len(value)
    return total


def _image_tokens(part: Mapping[str, object], model: str) -> int:
    holder = part.get("image_url")
    detail = (holder if isinstance(holder, Mapping) else part).get("detail")
    name = bare_name(model)
    low, high = next((low, high) for start, low, high in _IMAGE_TOKENS if begins(name, start))
    if detail == "original":
        return max(high, _ORIGINAL_TOKENS)
    return low if detail == "low" else high


def _longest_text(part: Mapping[str, object]) -> int:
    """Length of the longest string in a part or one level below, where inline data stands."""
    inner = [value for value in part.values() if isinstance(value, Mapping)]
    texts = (text for holder in (part, *inner) for text in holder.values() if isinstance(text, str))
    return max(map(len, texts), default=0)
