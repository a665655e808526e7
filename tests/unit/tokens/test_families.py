import pytest

from llm_service.tokens.families import Family, bare_name, family_of

MODELS = {
    Family.O200K_BASE: """
        gpt-4o gpt-4o-mini gpt-4o-2024-08-06 chatgpt-4o-latest gpt-4.1 gpt-4.1-nano gpt-4.5-preview gpt-5 gpt-5-mini
        gpt-5.2 gpt-5.2-chat-2025-12-11 gpt-5-image gpt-oss-20b gpt-oss:120b o1 o1-pro o3 o3-mini o4-mini
        o4-mini-deep-research codex-mini-latest""",
    Family.CL100K_BASE: """
        gpt-4 gpt-4-0613 gpt-4-turbo gpt-4-32k gpt-3.5-turbo gpt-3.5-turbo-instruct gpt-35-turbo-16k davinci-002
        babbage-002 text-embedding-3-small text-embedding-3-large text-embedding-ada-002""",
    Family.DEEPSEEK: """
        deepseek-chat deepseek-reasoner deepseek-flash deepseek-v4-pro deepseek-v4-flash-vision-exp deepseek-v3
        deepseek-v3p1 deepseek-v3.2-exp deepseek-chat-v3-0324 deepseek-r1 deepseek-r1-0528 deepseek-r1:671b
        deepseek-r1t2-chimera""",
    Family.ESTIMATE: """
        claude-sonnet-4.5 gemini-3.8-flash llama-3.3-70b-instruct qwen3-32b mistral-large text-embedding-004 my-gpt-4o
        auto gpt-2 gpt-6 gpt-4x gpt-4ox gpt-4.7 gpt-j-6b gpt4all o1x o2
        deepseek-r1-distill-qwen-32b deepseek-r1-distill-llama-70b
        deepseek-r1-0528-qwen3-8b deepseek-r1:7b deepseek-r1:70b-q4 deepseek-coder-6.7b-instruct deepseek-coder:33b
        deepseek-v2.5 deepseek-v2-lite deepseek-vl2 deepseek-llm-67b-chat""",
}
CASES = [(model, family) for family, models in MODELS.items() for model in models.split()]


@pytest.mark.parametrize(("model", "family"), CASES)
def test_a_model_has_the_family_of_its_name(model, family):
    assert family_of(model) is family


@pytest.mark.parametrize(
    "address", ["{}", "{}:free", "{}:nitro", "author/{}", "openrouter/author/{}", "~author/{}", "FT:{}:our-org::id"]
)
@pytest.mark.parametrize(
    ("model", "family"),
    [("gpt-4o", Family.O200K_BASE), ("gpt-4", Family.CL100K_BASE), ("deepseek-v3.2", Family.DEEPSEEK)],
)
def test_the_address_of_a_model_does_not_matter(address, model, family):
    assert family_of(address.format(model)) is family
    assert family_of(address.format(model).upper()) is family


@pytest.mark.parametrize("name", ["", "/", ":", "ft:", "\n", "deepseek\n", "gpt-4\n" * 100_000])
def test_a_strange_name_is_no_error(name):
    assert family_of(name) in Family


def test_a_bare_name_keeps_its_variant():
    assert bare_name("openrouter/OpenAI/GPT-4o:free") == "gpt-4o:free"
