"""Requests with a canary in every field that holds a text."""

from base64 import b64encode
from typing import Any

from tests.support.canaries.marks import Canaries

Body = dict[str, Any]


class Asked:
    """Bodies of requests. ``where``: what the kinds of the canaries in them end with."""

    def __init__(self, canaries: Canaries) -> None:
        self._canaries = canaries

    def said(self, what: str) -> str:
        """A text of a prompt."""
        return self._canaries.text(f"prompt: {what}")

    def refused(self, what: str) -> str:
        """A text that reaches no provider."""
        return self._canaries.text(f"refused: {what}")

    def name(self, what: str) -> str:
        """A name of a prompt, as names have to look."""
        return self._canaries.mark(f"prompt: {what}")

    def named(self, what: str) -> str:
        """A name that somebody has given: errors may say it."""
        return self._canaries.mark(f"asked name: {what[:20]}")

    @property
    def headers(self) -> dict[str, str]:
        """What may be said of a request beside it."""
        mark = self._canaries.mark
        return {
            "X-LLM-User": mark("user: header"),
            "X-LLM-Tags": f"team={mark('tag: value')}",
            "X-Unheard-Of": mark("header: unknown"),
            "User-Agent": mark("header: agent"),
            "Referer": f"http://{mark('header: referer')}.invalid/",
            "Baggage": f"a={mark('header: baggage')}",
        }

    def messages(self) -> list[Body]:
        """One of every role, and of every kind of part."""
        said = self.said
        picture = b64encode(b"\x89PNG\r\n\x1a\n" + said("picture").encode()).decode()
        call = {"name": "look_up", "arguments": f'{{"word": "{self.name("tool arguments")}"}}'}
        parts: list[Body] = [
            {"type": "text", "text": said("part")},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
            {"type": "image_url", "image_url": {"url": f"https://{self.name('host')}.example/{self.name('path')}.png"}},
            {"type": "file", "file": {"filename": said("file name"), "file_data": f"data:text/plain;base64,{picture}"}},
        ]
        return [
            {"role": "system", "content": said("system")},
            {"role": "developer", "content": said("developer"), "name": self.named("name")},
            {"role": "user", "content": said("user"), "unheard_of": said("field of a message")},
            {"role": "user", "content": parts},
            {
                "role": "assistant",
                "content": said("assistant"),
                "reasoning_content": said("thought"),
                "tool_calls": [{"id": self.named("call id"), "type": "function", "function": call}],
            },
            {"role": "tool", "tool_call_id": self.named("call id"), "content": said("tool")},
            {"role": "user", "content": said("last")},
        ]

    def chat(self, model: str, **more: Any) -> Body:
        """A chat."""
        said = self.said
        schema = {"type": "object", "properties": {self.named("property"): {"description": said("schema")}}}
        function = {"name": self.named("tool name"), "description": said("tool"), "parameters": schema}
        return {
            "model": model,
            "messages": self.messages(),
            "stop": [self.name("stop")],
            "user": self._canaries.mark("user: body"),
            "metadata": {self.named("metadata name"): said("metadata")},
            "tools": [{"type": "function", "function": function}],
            "response_format": {"type": "json_schema", "json_schema": {"name": self.named("form"), "schema": schema}},
            "prediction": {"type": "content", "content": said("prediction")},
            "prompt_cache_key": self.named("cache key"),
            "safety_identifier": self.named("safety"),
            "unheard_of": {"deep": [said("field")]},
            **more,
        }

    def completion(self, model: str, **more: Any) -> Body:
        """A completion."""
        return {"model": model, "prompt": self.said("prompt"), "suffix": self.said("suffix"), **more}

    def embedding(self, model: str, **more: Any) -> Body:
        """Embeddings of two texts."""
        return {"model": model, "input": [self.said("input"), "two"], **more}

    def graphql_chat(self, model: str, **more: Any) -> Body:
        """The same as a variable of GraphQL."""
        said = self.said
        return {
            "model": model,
            "messages": [
                {"role": "SYSTEM", "content": said("system of GraphQL"), "name": self.name("name of GraphQL")},
                {"role": "USER", "parts": [{"type": "text", "text": said("part of GraphQL")}]},
                {"role": "USER", "content": said("user of GraphQL"), "extra": {"x": said("extra of a message")}},
            ],
            "stop": [self.name("stop of GraphQL")],
            "extra": {"unheard_of": said("extra of GraphQL")},
            "options": {"user": self._canaries.mark("user: GraphQL")},
            **more,
        }

    def malformed(self, model: str) -> list[Any]:
        """Bodies with a canary where it must not be."""
        name = self._canaries.text("asked name: field")
        said, chat = self.refused("malformed"), {"model": model, "messages": [{"role": "user", "content": "x"}]}
        wrong: list[Any] = [said, [said], {**chat, "messages": said}, {**chat, "messages": [said]}]
        wrong += [{**chat, "messages": [{"role": said, "content": said}]}, {**chat, "messages": {name: said}}]
        wrong += [{**chat, "messages": [{"role": "user", "content": {name: said}}]}]
        wrong += [{**chat, "messages": [{"role": "user", "content": [{"type": said, "text": said}]}]}]
        wrong += [{**chat, "messages": [{"role": "user", "content": [said]}]}]
        fields = (
            *("temperature", "top_p", "n", "max_tokens", "stop", "stream", "stream_options", "tools", "tool_choice"),
            *("response_format", "logit_bias", "metadata", "modalities", "reasoning_effort", "user", "models"),
            *("parallel_tool_calls", "seed", "logprobs", "service_tier", "reasoning", "provider"),
        )
        wrong += [{**chat, field: value} for field in fields for value in (said, [said, 5], {name: [said]})]
        wrong += [{**chat, "tools": [{"type": said, "function": {"name": said}}]}, {**chat, "model": [said]}]
        image = [{"type": "image_url", "image_url": {"url": f"ftp://{self._canaries.mark('refused: host')}/"}}]
        return [*wrong, {**chat, "messages": [{"role": "user", "content": image}]}]
