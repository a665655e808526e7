"""A configuration of LiteLLM's is imported, served from, and asked as its clients ask it."""

from collections.abc import Iterator

import pytest
from openai import AsyncOpenAI, AuthenticationError, BadRequestError

from tests.support.process import Serving, place, run, serving

MASTER = "canary-master-key-2f6d-0123456789abcdef"
CONFIG = """\
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/sandbox/chat
      api_base: {openai}
      api_key: sk-canary-upstream-91c0
  - model_name: broken
    litellm_params: {{model: openai/sandbox/error-500, api_base: {openai}, api_key: sk-canary-upstream-91c0}}
  - model_name: "deepseek/*"
    litellm_params: {{model: "deepseek/*", api_base: {deepseek}, api_key: os.environ/DEEPSEEK_KEY}}

router_settings:
  num_retries: 0
  fallbacks: [{{broken: [gpt-4o]}}]
  model_group_alias: {{gpt-4: gpt-4o}}

general_settings: {{master_key: {master}}}
"""
VARIABLES = {
    "LLM_ADMIN_KEY": MASTER,
    "DEEPSEEK_KEY": "sk-canary-deepseek-0b1c",
}


@pytest.fixture(scope="module")
def upstreams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(place(tmp_path_factory.mktemp("upstreams")), command=("sandbox",)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory, upstreams: Serving) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("imported")
    addresses = {name: upstreams.banner[name] for name in ("openai", "deepseek")}
    (folder / "config.yaml").write_text(CONFIG.format(**addresses, master=MASTER), encoding="utf-8")
    done = run(place(folder), "import", "litellm", "config.yaml", "--output", "llm-service.yaml")
    assert done.code == 0, done.err
    named = variables_of(done.err)
    assert set(VARIABLES) < named
    (upstream_key,) = named - set(VARIABLES)
    with serving(place(folder, resilient=True, **VARIABLES, **{upstream_key: "sk-canary-upstream-91c0"})) as service:
        yield service


def variables_of(report: str) -> set[str]:
    """What the report says is to be set."""
    listed = report.partition("Variables to set:\n")[2].partition("\n\n")[0]
    return {line.split()[0] for line in listed.splitlines()}


def client(service: Serving, key: str = MASTER) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{service.address}/v1", api_key=key, max_retries=0)


async def said(service: Serving, model: str) -> str:
    async with client(service) as asking:
        messages = [{"role": "user", "content": "What is the capital of France?"}]
        answer = await asking.chat.completions.create(model=model, messages=messages)  # type: ignore[arg-type]
        return answer.choices[0].message.content or ""


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4", "deepseek/deepseek-chat", "broken"])
async def test_a_model_of_the_list_answers_under_its_name(imported: Serving, model: str) -> None:
    assert await said(imported, model)


async def test_a_name_that_is_not_in_the_list_is_refused(imported: Serving) -> None:
    with pytest.raises(BadRequestError) as refused:
        await said(imported, "local/sandbox/chat")
    assert refused.value.code == "content_filtered"


async def test_who_has_no_key_is_refused_on_this_machine_too(imported: Serving) -> None:
    async with client(imported, key="canary-another-key") as asking:
        with pytest.raises(AuthenticationError):
            await asking.models.list()
