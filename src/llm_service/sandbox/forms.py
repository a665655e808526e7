"""Every behaviour that a request can ask for: the table behind the grammar, the control endpoint and the docs."""

from __future__ import annotations

from typing import Final

from llm_service.sandbox.behaviour import ORDINARY, Form, Grammar, Kind

_FLAG, _COUNT, _SECONDS, _BYTES, _WORD = Kind.FLAG, Kind.COUNT, Kind.SECONDS, Kind.BYTES, Kind.WORD

TIME: Final = (
    Form("slow-head", _SECONDS, "nothing at all for so long, then the answer", "1s"),
    Form("slow-first-byte", _SECONDS, "status and headers at once, the first byte of the body after so long", "1s"),
    Form("keep-alive", _SECONDS, "comments (blank lines in whole answers) for so long before the answer", "1s"),
    Form("keep-alive-every", _SECONDS, "time between those comments; in a stall: comments come even then", "100ms"),
    Form("pace", _SECONDS, "time between the chunks of a stream", "10ms"),
    Form("stall-after", _COUNT, "silence after so many content chunks (whole: in the middle of the body)", "3"),
    Form("stall-for", _SECONDS, "the silence ends after so long, and the answer goes on", "1s"),
    Form("stall-head", _FLAG, "no answer at all, the connection stays open"),
)

BREAKS: Final = (
    Form("end-after", _COUNT, "the body ends properly after so many chunks, without finish reason and [DONE]", "3"),
    Form("cut-after", _COUNT, "the connection closes after so many chunks, between two events", "3"),
    Form("cut-inside", _COUNT, "the connection closes inside the event after so many chunks", "3"),
    Form("cut-utf8", _COUNT, "the connection closes inside a multi-byte character after so many chunks", "3"),
    Form("reset-after", _COUNT, "the connection is reset (RST) after so many chunks", "3"),
    Form("cut-head", _FLAG, "the connection closes inside the response head"),
    Form("drop", _FLAG, "the connection closes instead of an answer"),
    Form("drop-reset", _FLAG, "the connection is reset instead of an answer"),
    Form("bad-chunking", _COUNT, "a chunk size that is not hexadecimal, after so many chunks", "3"),
)

MALFORMED: Final = (
    Form("truncated-json", _FLAG, "JSON that stops in the middle (stream: the fourth chunk, then it goes on)"),
    Form("not-json", _FLAG, "text instead of JSON (stream: the fourth chunk, then it goes on)"),
    Form("html", _FLAG, "status 200 and an HTML page"),
    Form("empty", _FLAG, "status 200 and an empty body"),
    Form("blank", _COUNT, "status 200, so many blank lines, then the end", "30"),
    Form("bad-utf8", _FLAG, "bytes that are not UTF-8 in the text"),
    Form("content-type", _WORD, "another content type: octet-stream, text, html, none", "octet-stream"),
)

ERRORS: Final = (
    Form("error", _WORD, "an error before the answer: a status or an id of the error table"),
    Form("error-in-200", _WORD, "the body of that error under status 200", "usual"),
    Form("error-first", _WORD, "a stream that holds comments and then only this error", "429"),
    Form("error-mid", _WORD, "an error in mid-stream: documented, string-code, after-finish, bare-finish, groq, vllm, "
         "in-choice", "documented"),
    Form("at", _COUNT, "the place of a mid-stream error, in content chunks", "3"),
    Form("retry-after", _WORD, "the Retry-After header of an error: seconds or an HTTP date", "1"),
    Form("strict", _FLAG, "plain dialect: fields that OpenAI does not know are refused with 400"),
    Form("first", _COUNT, "the behaviour holds for the first so many requests of this model and key", "1"),
    Form("share", _COUNT, "the behaviour holds for so many percent of the requests", "50"),
)  # fmt: skip

FRAMINGS: Final = (
    Form("crlf", _FLAG, "CRLF line ends"),
    Form("cr", _FLAG, "CR line ends"),
    Form("split", _COUNT, "the stream in pieces of so many bytes, inside characters too", "7"),
    Form("dribble", _SECONDS, "byte by byte, so long between two", "0ms"),
    Form("merged", _COUNT, "so many events in one write (0: all)", "0"),
    Form("bom", _FLAG, "a byte order mark at the beginning"),
    Form("no-space", _FLAG, "`data:` without the blank behind it"),
    Form("multi-line", _FLAG, "the JSON of an event over several data lines"),
    Form("ids", _FLAG, "id, event and retry fields beside the data"),
    Form("no-done", _FLAG, "no [DONE]"),
    Form("double-done", _FLAG, "[DONE] twice"),
    Form("comments", _FLAG, "a comment before every event"),
    Form("until-close", _FLAG, "no chunked encoding: the body ends with the connection"),
)

USAGE: Final = (
    Form("usage-none", _FLAG, "no usage at all"),
    Form("usage-null", _FLAG, "usage is null"),
    Form("usage-every", _FLAG, "running totals on every chunk"),
    Form("usage-zero", _FLAG, "all figures are zero"),
    Form("usage-huge", _FLAG, "a billion tokens"),
    Form("usage-odd", _FLAG, "more reasoning tokens than output tokens, a total above the sum"),
    Form("usage-repeated-finish", _FLAG, "usage on a second finish chunk (OpenRouter 2026)"),
    Form("usage-after-finish", _FLAG, "usage on a chunk with empty content after the finish (OpenRouter 2025)"),
    Form("usage-empty-choices", _FLAG, "usage on a chunk without choices (OpenAI)"),
    Form("usage-on-finish", _FLAG, "usage on the finish chunk (DeepSeek)"),
    Form("cached", _COUNT, "so many of the input tokens come from the prompt cache", "128"),
    Form("generation-after", _SECONDS, "OpenRouter: the generation record is 404 for so long", "1s"),
)

TOOLS: Final = (
    Form("tool-call", _FLAG, "the first tool is called, whatever the prompt says"),
    Form("tools-no-index", _FLAG, "tool call deltas without index"),
    Form("tools-repeat-id", _FLAG, "id, type and name on every tool call delta"),
    Form("tools-empty-id", _FLAG, "empty ids"),
    Form("tools-signature", _FLAG, "Gemini's thought signature on the opening delta of a tool call"),
    Form("tools-whole", _FLAG, "each tool call in one delta"),
    Form("tools-interleaved", _FLAG, "the fragments of parallel calls interleave"),
    Form("tools-empty-arguments", _FLAG, "arguments stay the empty string"),
    Form("tools-bad-arguments", _FLAG, "arguments that are not JSON"),
    Form("tools-finish-stop", _FLAG, "finish reason stop although tools were called"),
    Form("tools-missing", _FLAG, "finish reason tool_calls although none was called"),
)

CONTENT: Final = (
    Form(ORDINARY, _FLAG, "nothing special: an ordinary answer"),
    Form("tokens", _COUNT, "an answer of exactly so many tokens, whatever max_tokens says", "100"),
    Form("finish", _WORD, "this finish reason, e.g. content_filter or insufficient_system_resource"),
    Form("thinking", _FLAG, "the model thinks, whatever the request says"),
    Form("no-thinking", _FLAG, "the model does not think"),
    Form("reasoning-field", _WORD, "the field that carries the thoughts: reasoning, reasoning_content, think-tags, "
         "mistral", "reasoning_content"),
    Form("reasoning-only", _FLAG, "all of the answer is reasoning, the content stays empty"),
    Form("unicode", _FLAG, "emoji, CJK, right-to-left and combining characters in the text"),
    Form("separators", _FLAG, "raw U+0085, U+2028 and U+2029 in the text"),
    Form("no-content", _FLAG, "an empty answer"),
    Form("long-event", _BYTES, "one event of so many bytes", "1mb"),
    Form("bulk", _BYTES, "a stream of so many bytes, as fast as it can be read", "64mb"),
    Form("obfuscation", _FLAG, "OpenAI's random padding on every chunk"),
    Form("azure-start", _FLAG, "a first event without choices, with an empty id"),
)  # fmt: skip

HTTP: Final = (
    Form("gzip", _FLAG, "a body compressed with gzip"),
    Form("bad-gzip", _FLAG, "content-encoding gzip over bytes that are none"),
    Form("gzip-bomb", _BYTES, "a small body that inflates to so many bytes", "256mb"),
    Form("redirect", _COUNT, "307 to another host, or another status: redirect-302", "307"),
    Form("redirect-to", _WORD, "the target of the redirect", "http://redirected.invalid/"),
    Form("big-headers", _BYTES, "headers of so many bytes", "128kb"),
    Form("endless-head", _FLAG, "headers without an end"),
    Form("endless-body", _FLAG, "blanks without an end before the body"),
    Form("endless-event", _FLAG, "one event without a line end"),
    Form("informational", _FLAG, "a 103 response before the answer"),
    Form("close", _FLAG, "`connection: close`"),
    Form("silent-close", _FLAG, "the connection closes after the answer although keep-alive was promised"),
)

GROUPS: Final = {
    "Time": TIME,
    "Broken connections": BREAKS,
    "Malformed bodies": MALFORMED,
    "Errors": ERRORS,
    "Framing of streams": FRAMINGS,
    "Usage": USAGE,
    "Tool calls": TOOLS,
    "Content": CONTENT,
    "HTTP": HTTP,
}


def grammar() -> Grammar:
    """The grammar over all forms."""
    return Grammar(form for group in GROUPS.values() for form in group)
