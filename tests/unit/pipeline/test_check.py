"""What may be sent at all: bounds, addresses, what models take, and what fits; refused before anything else is done."""

from collections.abc import Awaitable, Mapping, Sequence
from random import Random
from typing import Any, Literal, cast

import orjson
import pytest

from llm_service.domain import (
    ApiKey,
    Caller,
    Candidate,
    ContextLengthExceeded,
    InvalidValue,
    LLMServiceError,
    ModelInfo,
    ModelRequest,
    Reply,
    chat_request,
    completion_request,
    embedding_request,
)
from llm_service.pipeline import Check, Exchange, ImageUrlOptions, ValidationOptions, Windows
from llm_service.routing import Group, Route, Trigger, Way
from llm_service.runtime import Tasks
from llm_service.tokens import PromptSize
from tests.support.malformed_bodies import wrong_body
from tests.support.routes import a_fleet, way

PASSED = cast("Reply", object())
TOOL = {"type": "function", "function": {"name": "f"}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}
TEXT_ONLY = ModelInfo(id="m", owned_by="p", parameters=("seed",), input_modalities=("text",))
ABLE = ModelInfo(id="m", owned_by="p", parameters=("tools",), input_modalities=("text", "image", "audio"))
KEY = cast("ApiKey", object())
Groups = Sequence[tuple[Trigger, Sequence[Way]]]


def asking(*parts: Any, bytes_: int = 100, **fields: Any) -> ModelRequest:
    content = list(parts) if parts else "Hello"
    return chat_request({"model": "m", "messages": [{"role": "user", "content": content}], **fields}, bytes_)


class World:
    """A stage over a route, with a count that the test states; without one nothing may be counted."""

    def __init__(
        self,
        options: ValidationOptions | None = None,
        *,
        ways: Sequence[Way] = (),
        groups: Groups = (),
        infos: Mapping[str, ModelInfo] | None = None,
        size: PromptSize | None = None,
        most_input: int | None = 200_000,
    ) -> None:
        self.options = options or ValidationOptions()
        self.infos = infos or {}
        self.size = size
        self.sized: list[tuple[Candidate, int]] = []
        made = groups or [("failure", ways or [way("p")])]
        self.groups = [Group(f"g{at}", ways, trigger=trigger) for at, (trigger, ways) in enumerate(made)]
        windows = Windows(
            most_input=most_input, overflow=self.options.context_overflow, known=self._known, size=self._size
        )
        self.check = Check(self.options, windows, self._known)

    def _known(self, provider: str, _model: str) -> ModelInfo | None:
        return self.infos.get(provider)

    async def _size(self, _request: ModelRequest, candidate: Candidate, up_to: int) -> PromptSize:
        self.sized.append((candidate, up_to))
        assert self.size is not None, "nothing had to be counted"
        return self.size

    def exchange(self, request: ModelRequest, *, key: ApiKey | None = None, is_ours: bool = False) -> Exchange:
        caller = Caller(key_id="k", scopes=frozenset(("inference",)), key=key)
        made = Exchange(
            id="r",
            stream_id="s",
            surface="rest",
            request=request,
            caller=caller,
            tasks=cast("Tasks", None),
            received_at=0,
        )
        made.route = Route(self.groups, a_fleet().member, is_ours=is_ours)
        return made

    async def passes(self, request: ModelRequest, **more: Any) -> Exchange:
        """It goes on, and what explains it says so too."""
        exchange = self.exchange(request, **more)

        async def proceed(_: Exchange) -> Reply:
            return PASSED

        assert await self.check(exchange, proceed) is PASSED
        await self.check.judge(self.exchange(request, **more))
        return exchange

    async def refuses(self, request: ModelRequest, **more: Any) -> LLMServiceError:
        def proceed(_: Exchange) -> Awaitable[Reply]:
            raise AssertionError("it went on")

        with pytest.raises(LLMServiceError) as raised:
            await self.check(self.exchange(request, **more), proceed)
        with pytest.raises(type(raised.value)):
            await self.check.judge(self.exchange(request, **more))
        return raised.value


def sized(least: int, about: int | None = None, most: int | None = None) -> PromptSize:
    return PromptSize(least=least, about=about or least, most=most or about or least)


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"x": value}
    return value


# -- bounds

SMALL = ValidationOptions(
    max_messages=2, max_depth=8, max_media=1, max_tools=1, max_tool_bytes=1024, max_stops=2, max_choices=2
)
LONG_TOOL = {"type": "function", "function": {"name": "f", "description": "x" * 2000}}


@pytest.mark.parametrize(
    ("request_", "param", "said"),
    [
        (asking(n=3), "n", "'n' must be at most 2, and has 3 (validation.max_choices)."),
        (asking(stop=["a", "b", "c"]), "stop", "'stop' must not hold more than 2, and has 3 (validation.max_stops)."),
        (chat_request({"model": "m", "messages": [{"role": "user", "content": "x"}] * 3}), "messages", "max_messages"),
        (asking(tools=[TOOL, TOOL]), "tools", "max_tools"),
        (asking(functions=[{"name": "f"}] * 2), "functions", "max_tools"),
        (asking(tools=[LONG_TOOL], bytes_=2100), "tools", "must not be longer than 1024 bytes, and has 2"),
        (asking(PICTURE, SOUND), "messages", "more than 1 media (validation.max_media)"),
        (asking(metadata=deep(9)), None, "nested too deeply: 8 levels"),
        (completion_request({"model": "m", "prompt": "x", "best_of": 5}), "best_of", "max_choices"),
        (embedding_request({"model": "m", "input": "x", "mine": deep(9)}), None, "nested too deeply"),
    ],
)
async def test_what_exceeds_a_bound_is_refused_by_its_name(
    request_: ModelRequest, param: str | None, said: str
) -> None:
    error = await World(SMALL).refuses(request_)
    assert type(error) is InvalidValue
    assert error.param == param
    assert said in error.message
    await World().passes(request_)


async def test_what_reaches_a_bound_is_not_beyond_it() -> None:
    await World(SMALL).passes(asking(PICTURE, n=2, stop=["a", "b"], tools=[TOOL], metadata=deep(7)))
    await World(SMALL).passes(asking(tools=[TOOL], bytes_=5000))
    with_long_prompt = asking({"type": "text", "text": "x" * 5000}, tools=[TOOL], bytes_=5200)
    await World(SMALL).passes(with_long_prompt)


async def test_a_long_body_s_depth_is_looked_at_by_default_too() -> None:
    error = await World().refuses(asking(metadata=deep(600), bytes_=100_000))
    assert "250 levels" in error.message


async def test_unknown_fields_pass_unless_they_are_to_be_refused() -> None:
    strict = World(ValidationOptions(unknown_fields="refuse"))
    await World().passes(asking(max_token=7))
    error = await strict.refuses(asking(max_token=7))
    assert error.param == "max_token"
    assert "did you mean 'max_tokens'?" in error.message
    assert "did you mean" not in (await strict.refuses(asking(qqqqqq=7))).message
    await strict.passes(asking(max_tokens=7, thinking={}, provider={}, reasoning={}))
    await strict.refuses(embedding_request({"model": "m", "input": "x", "messages": []}))


# -- addresses


def named(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


PRIVATE, METADATA = "http://10.0.0.7/cat.png", "http://169.254.169.254/latest"
HELD: dict[str, Mapping[str, Any]] = {
    "messages[0].content[0].image_url.url": asking(named(PRIVATE)).body,
    "messages[0].content[0].image_url": asking({"type": "image_url", "image_url": PRIVATE}).body,
    "messages[0].content[0].video_url.url": asking({"type": "video_url", "video_url": {"url": PRIVATE}}).body,
    "messages[0].content[0].file.file_data": asking({"type": "file", "file": {"file_data": PRIVATE}}).body,
    "messages[0].content[0].file.file_url": asking({"type": "file", "file": {"file_url": PRIVATE}}).body,
    "messages[0].content[0].input_audio.data": asking({"type": "input_audio", "input_audio": {"data": PRIVATE}}).body,
    "messages[0].content[0].source.url": asking({"type": "image", "source": {"type": "url", "url": PRIVATE}}).body,
    "messages[0].content[0].audio_url": asking({"type": "audio_url", "audio_url": PRIVATE}).body,
    "messages[0].content[0].image[0]": asking({"type": "video", "image": [PRIVATE]}).body,
    "messages[0].content[0].document_url": asking({"document_url": PRIVATE}).body,
    "messages[0].images[0].image_url.url": {
        "model": "m",
        "messages": [{"role": "assistant", "content": "x", "images": [named(PRIVATE)]}],
    },
    "tools[0].server_url": asking(tools=[{"type": "mcp", "server_url": PRIVATE}]).body,
}


@pytest.mark.parametrize("path", HELD)
async def test_a_private_address_is_refused_to_keys_wherever_it_stands(path: str) -> None:
    request = chat_request(HELD[path], 100)
    error = await World().refuses(request, key=KEY)
    assert error.param == path
    assert "private network (validation.image_urls.private_addresses)" in error.message
    assert "10.0.0.7" not in error.message
    await World().passes(request)  # the operator's own


async def test_an_address_in_what_is_to_be_embedded_is_looked_at_too() -> None:
    request = embedding_request({"model": "m", "input": [{"content": [named(PRIVATE)]}]})
    assert (await World().refuses(request, key=KEY)).param == "input[0].content[0].image_url.url"


@pytest.mark.parametrize("odd", [5, "x", [None], {"a": 1}])
async def test_fields_of_another_operation_are_not_looked_into(odd: object) -> None:
    for name in ("tools", "functions", "messages", "response_format", "max_tokens", "stop", "n", "stream_options"):
        await World(ways=LIMITED).passes(embedding_request({"model": "m", "input": "x", name: odd}, 90))
    for name in ("tools", "functions", "messages", "response_format", "input"):
        await World(ways=LIMITED).passes(completion_request({"model": "m", "prompt": "x", name: odd}, 90))


def rules(**given: Any) -> ValidationOptions:
    return ValidationOptions(image_urls=ImageUrlOptions(**given))


DATA, WEB, PLAIN = "data:image/png;base64,AAAA", "https://example.com/a.png", "http://example.com/a.png"


@pytest.mark.parametrize(
    ("options", "passing", "refused"),
    [
        ({}, [DATA, WEB, PLAIN, "gs://bucket/a.png", "iVBORw0KGgo="], [METADATA, "ftp://example.com/", "//a.test/x"]),
        ({"allow": "https"}, [DATA, WEB], [PLAIN, "gs://bucket/a", "iVBORw0KGgo="]),
        ({"allow": "data_only"}, [DATA], [WEB, PLAIN, "gs://bucket/a", "iVBORw0KGgo="]),
        ({"hosts": ("example.com", "*.cdn.test", "10.0.0.7")}, [DATA, WEB, "https://a.cdn.test/", PRIVATE], []),
        ({"hosts": ("example.com", "*.cdn.test")}, [], ["https://cdn.test/", "https://a.test/", "gs://example.com/"]),
        ({"hosts": ("example.com",)}, [], ["https://example.com@a.test/", "https://example.com.a.test/"]),
        ({"private_addresses": "refuse"}, [WEB], [PRIVATE, METADATA, "file:///etc/passwd"]),
        ({"private_addresses": "allow"}, [WEB, PRIVATE, METADATA, "file:///data/a.png"], ["gopher://a.test/"]),
    ],
)
async def test_which_addresses_may_be_named(options: dict[str, Any], passing: list[str], refused: list[str]) -> None:
    world = World(rules(**options))
    for url in passing:
        await world.passes(asking(named(url)), key=KEY if "private_addresses" in options else None)
    for url in refused:
        assert type(await world.refuses(asking(named(url)))) is InvalidValue


async def test_the_operator_may_name_private_hosts_but_not_where_credentials_are() -> None:
    await World().passes(asking(named("file:///data/a.png")))
    await World().refuses(asking(named("file:///data/a.png")), key=KEY)
    await World().refuses(asking(named(METADATA)))
    await World().refuses(asking(named("http://a@b@c/")))


async def test_data_itself_is_no_address() -> None:
    for allow in ("https", "data_only"):
        await World(rules(allow=allow)).passes(asking(SOUND, {"type": "file", "file": {"file_data": "JVBERi0="}}))


@pytest.mark.parametrize("data", ["//uQxAAAAAAAAAAAAAAAAAAAAAAASW5mbwAAAA8=", "//NExAAAAANIAAAAAExBTUUzLjEwMFVV"])
async def test_sound_in_mp3_is_data_though_its_base64_begins_with_two_strokes(data: str) -> None:
    await World().passes(asking({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}}), key=KEY)
    await World().refuses(asking(named(data + ":")), key=KEY)


async def test_addresses_are_counted_though_they_stand_in_one_part() -> None:
    frames = {"type": "video", "video": ["https://example.com/1.png", "https://example.com/2.png"]}
    await World(ValidationOptions(max_media=2)).passes(asking(frames))
    error = await World(ValidationOptions(max_media=1)).refuses(asking(frames))
    assert "more than 1 media (validation.max_media)" in error.message


async def test_text_is_not_taken_for_an_address() -> None:
    texts = [{"type": "text", "text": PRIVATE}, {"type": "tool_use", "input": {"url": PRIVATE}, "id": "a:b"}]
    await World(rules(allow="data_only")).passes(asking(*texts), key=KEY)


# -- what models take


@pytest.mark.parametrize(
    ("request_", "param", "said"),
    [
        (asking(tools=[TOOL]), "tools", "'tools': `p/m` takes no tools, by the provider's catalogue."),
        (asking(functions=[{"name": "f"}]), "functions", "takes no tools"),
        (asking({"type": "text", "text": "x"}, PICTURE), "messages[0].content[1]", "takes no images"),
        (asking(SOUND), "messages[0].content[0]", "takes no sound"),
    ],
)
async def test_what_a_model_does_not_take_is_refused(request_: ModelRequest, param: str, said: str) -> None:
    error = await World(infos={"p": TEXT_ONLY}).refuses(request_)
    assert type(error) is InvalidValue
    assert error.param == param
    assert said in error.message
    assert (await World(ways=[way("p", lacks=("tools", "images", "audio"))]).refuses(request_)).param == param
    for world in (
        World(),  # nobody knows
        World(infos={"p": ABLE}),
        World(infos={"p": ModelInfo(id="m", owned_by="p")}),  # the catalogue says nothing of such things
        World(ValidationOptions(model_facts="pass"), infos={"p": TEXT_ONLY}),
    ):
        await world.passes(request_)


async def test_one_deployment_that_may_be_able_is_enough() -> None:
    infos = {"a": TEXT_ONLY, "b": TEXT_ONLY}
    await World(ways=[way("a"), way("p"), way("b")], infos=infos).passes(asking(PICTURE))
    await World(groups=[("failure", [way("a")]), ("failure", [way("p")])], infos=infos).passes(asking(PICTURE))
    error = await World(ways=[way("a"), way("b")], infos=infos).refuses(asking(PICTURE))
    assert "`a/m` takes no images, by the provider's catalogue, nor does any other of its deployments" in error.message


@pytest.mark.parametrize(
    "fields",
    [
        {"models": ["other"]},  # which the provider follows itself
        {"plugins": [{"id": "auto-router"}]},
        {"preset": "@preset/x"},
        {"tool_choice": "none"},
        {"tools": [{"type": "openrouter:web_search"}]},
    ],
)
async def test_where_it_is_not_sure_the_provider_has_the_say(fields: dict[str, Any]) -> None:
    await World(infos={"p": TEXT_ONLY}).passes(asking(**{"tools": [TOOL], **fields}))


async def test_a_list_of_models_that_is_followed_here_is_judged() -> None:
    await World(infos={"p": TEXT_ONLY}).refuses(asking(tools=[TOOL], models=["other"]), is_ours=True)


# -- what fits

LIMITED = [way("p", context_tokens=1000)]


async def test_a_prompt_beyond_the_services_own_bound_is_refused_with_the_count() -> None:
    world = World(size=sized(250_000, 260_000))
    error = await world.refuses(asking(bytes_=1_000_000))
    assert type(error) is ContextLengthExceeded
    assert error.param == "messages"
    assert error.message == (
        "The prompt has about 260,000 tokens, and this service takes at most 200,000 (limits.max_input_tokens)."
    )
    await World(size=sized(200_000, 260_000)).passes(asking(bytes_=1_000_000))
    await World(most_input=None).passes(asking(bytes_=1_000_000))


async def test_what_is_short_is_never_counted() -> None:
    await World().passes(asking(bytes_=200_000))
    await World(ways=LIMITED).passes(asking(bytes_=900, max_tokens=100))
    await World(ways=LIMITED).passes(embedding_request({"model": "m", "input": "x", "max_tokens": 5000}, 900))


async def test_a_prompt_that_no_context_holds_is_refused_with_the_count() -> None:
    world = World(ways=LIMITED, size=sized(1001, 1010))
    error = await world.refuses(asking(bytes_=5000))
    assert type(error) is ContextLengthExceeded
    assert error.message == "The prompt has about 1,010 tokens; the context of `p/m` holds 1,000."
    assert world.sized[0] == (Candidate(provider="p", upstream_model="m"), 1000)
    error = await World(ways=LIMITED, size=sized(501, 510)).refuses(asking(bytes_=5000, max_tokens=500))
    assert error.message == (
        "The prompt has about 510 tokens, 500 more are asked for as an answer; the context of `p/m` holds 1,000."
    )
    await World(ways=LIMITED, size=sized(500, 1010)).passes(asking(bytes_=5000, max_tokens=500))
    await World(ValidationOptions(context_overflow="pass"), ways=LIMITED).passes(asking(bytes_=5000))


async def test_the_catalogue_s_word_counts_but_for_contexts_that_openrouter_makes_up_for() -> None:
    def knows(tokens: int) -> dict[str, ModelInfo]:
        return {"p": ModelInfo(id="m", owned_by="p", context_tokens=tokens)}

    await World(infos=knows(9000), size=sized(9001)).refuses(asking(bytes_=50_000))
    await World(infos=knows(8192)).passes(asking(bytes_=50_000))
    for fields in ({"transforms": ["middle-out"]}, {"plugins": [{"id": "context-compression"}]}):
        await World(infos=knows(9000)).passes(asking(bytes_=50_000, **fields))
    await World(infos=knows(9000), size=sized(9001)).refuses(asking(bytes_=50_000, transforms=[]))


@pytest.mark.parametrize(
    ("groups", "holds"),
    [
        ([("failure", [*LIMITED, way("b", context_tokens=2000)])], True),
        ([("failure", [*LIMITED, way("b")])], True),
        ([("failure", LIMITED), ("context", [way("b", context_tokens=2000)])], True),
        ([("failure", LIMITED), ("content", [way("b", context_tokens=2000)])], False),
        ([("failure", [*LIMITED, way("b", context_tokens=1200)])], False),
    ],
)
async def test_one_deployment_that_holds_it_is_enough(groups: Groups, holds: bool) -> None:
    world = World(groups=groups, size=sized(1500))
    await (world.passes if holds else world.refuses)(asking(bytes_=5000))


@pytest.mark.parametrize(
    ("size", "asked", "cap"),
    [
        (sized(600, 610, 650), 500, 350),
        (sized(100, 110, 120), 800, None),  # it may fit
        (sized(740, 742, 744), 500, 256),
        (sized(950, 960, 980), 51, "refused"),  # 20 tokens are no answer
        (sized(740, 744, 745), 500, "refused"),
        (sized(1100), 500, "refused"),
    ],
)
async def test_an_answer_that_does_not_fit_is_shortened_where_that_is_wanted(
    size: PromptSize, asked: int, cap: int | Literal["refused"] | None
) -> None:
    world = World(ValidationOptions(context_overflow="clamp"), ways=LIMITED, size=size)
    request = asking(bytes_=5000, max_tokens=asked)
    if cap == "refused":
        await world.refuses(request)
    else:
        assert (await world.passes(request)).output_cap == cap


# -- all together


async def test_a_thousand_wrong_requests_are_refused_or_let_pass() -> None:
    random = Random(8)
    world = World(ways=[way("p", context_tokens=2_000)], infos={"p": TEXT_ONLY}, size=sized(2_001))
    statuses = {"refused": 0, "passed": 0}
    codes, longest = set[str](), 0
    for _ in range(1_000):
        _, text = wrong_body(random)
        try:
            body = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if type(body) is not dict:
            continue
        before = dict(body)
        for parse in (chat_request, completion_request, embedding_request):  # whatever it was meant to be
            try:
                await world.check.judge(world.exchange(parse(body, len(text)), key=KEY))
                statuses["passed"] += 1
            except LLMServiceError as error:
                statuses["refused"] += 1
                codes.add(error.code)
                longest = max(longest, len(error.message))
        assert [*map(id, body.values())] == [*map(id, before.values())]
    assert min(statuses.values()) > 50
    assert codes == {"invalid_value", "missing_required_parameter", "context_length_exceeded"}
    assert longest < 1000
