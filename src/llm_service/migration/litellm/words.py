"""LiteLLM's names of providers, one row each: what speaks OpenAI's dialect, where it is, and what to do about the rest.

Sources: the provider pages of docs.litellm.ai (repository BerriAI/litellm-docs, 2026-05-02), and the addresses that
litellm/litellm_core_utils/get_llm_provider_logic.py falls back to. On Anthropic's: its page on OpenAI SDK compatibility
(platform.claude.com, seen 2026-11-26). Rows of our own catalogue: docs/providers.md.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from llm_service.domain import fact


@fact
class Word:
    """A provider that can be asked from here.

    ``name``: what it is called in the result. ``kind``, ``server``: its dialect or row here, where it has one.
    ``base_url``: its public address, where the row has none. ``key``, ``base``: the variables that LiteLLM reads where
    the file has no ``api_key`` or ``api_base``. ``path``: what is put behind an address of the file. ``caveat``: what
    is different from how LiteLLM speaks to it.
    """

    name: str
    kind: str = ""
    server: str = ""
    base_url: str = ""
    key: str = ""
    base: str = ""
    path: str = ""
    caveat: str = ""


_NATIVE: Final = "LiteLLM speaks {}'s own interface, this service its OpenAI-compatible one: {}"
_ANTHROPIC: Final = _NATIVE.format(
    "Anthropic",
    "for chat alone; prompt caching, citations and the text of thinking are not in it, response_format and most "
    "sampling fields are ignored there. Anthropic means it for trying out; openrouter/anthropic/... has all of it",
)

WORDS: Final[Mapping[str, Word]] = MappingProxyType(
    {
        "openai": Word(name="openai", server="openai", key="OPENAI_API_KEY"),
        "text-completion-openai": Word(name="openai", server="openai", key="OPENAI_API_KEY"),
        "custom_openai": Word(name="openai", server="openai", key="OPENAI_API_KEY"),
        "openai_like": Word(name="openai-like", key="OPENAI_LIKE_API_KEY", base="OPENAI_LIKE_API_BASE"),
        "azure": Word(name="azure", server="azure", key="AZURE_API_KEY", base="AZURE_API_BASE"),
        "azure_text": Word(name="azure", server="azure", key="AZURE_API_KEY", base="AZURE_API_BASE"),
        "azure_ai": Word(name="azure-ai", server="azure", key="AZURE_AI_API_KEY", base="AZURE_AI_API_BASE"),
        "openrouter": Word(name="openrouter", kind="openrouter", key="OPENROUTER_API_KEY"),
        "deepseek": Word(name="deepseek", kind="deepseek", key="DEEPSEEK_API_KEY"),
        "gemini": Word(
            name="gemini",
            server="gemini",
            key="GEMINI_API_KEY",
            caveat=_NATIVE.format("Gemini", "Google's own tools and safety settings are not in it"),
        ),
        "anthropic": Word(
            name="anthropic", base_url="https://api.anthropic.com/v1", key="ANTHROPIC_API_KEY", caveat=_ANTHROPIC
        ),
        "groq": Word(name="groq", server="groq", key="GROQ_API_KEY"),
        "mistral": Word(name="mistral", server="mistral", key="MISTRAL_API_KEY"),
        "together_ai": Word(name="together", server="together", key="TOGETHERAI_API_KEY"),
        "xai": Word(name="xai", server="xai", key="XAI_API_KEY"),
        "ollama": Word(
            name="ollama",
            server="ollama",
            base="OLLAMA_API_BASE",
            path="/v1",
            caveat=_NATIVE.format("Ollama", "num_ctx and keep_alive are settings of the Ollama server there"),
        ),
        "hosted_vllm": Word(name="vllm", server="vllm", base="HOSTED_VLLM_API_BASE"),
        "lm_studio": Word(name="lmstudio", server="lmstudio", base="LM_STUDIO_API_BASE"),
        "llamafile": Word(name="llamafile", server="llamacpp", base="LLAMAFILE_API_BASE"),
        "xinference": Word(name="xinference", base="XINFERENCE_API_BASE"),
        "litellm_proxy": Word(name="litellm", key="LITELLM_PROXY_API_KEY", base="LITELLM_PROXY_API_BASE"),
        "fireworks_ai": Word(
            name="fireworks", base_url="https://api.fireworks.ai/inference/v1", key="FIREWORKS_AI_API_KEY"
        ),
        "huggingface": Word(name="huggingface", base_url="https://router.huggingface.co/v1", key="HF_TOKEN"),
        "perplexity": Word(name="perplexity", base_url="https://api.perplexity.ai", key="PERPLEXITYAI_API_KEY"),
        "cerebras": Word(name="cerebras", base_url="https://api.cerebras.ai/v1", key="CEREBRAS_API_KEY"),
        "sambanova": Word(name="sambanova", base_url="https://api.sambanova.ai/v1", key="SAMBANOVA_API_KEY"),
        "deepinfra": Word(name="deepinfra", base_url="https://api.deepinfra.com/v1/openai", key="DEEPINFRA_API_KEY"),
        "nvidia_nim": Word(name="nvidia", base_url="https://integrate.api.nvidia.com/v1", key="NVIDIA_NIM_API_KEY"),
        "moonshot": Word(name="moonshot", base_url="https://api.moonshot.ai/v1", key="MOONSHOT_API_KEY"),
        "meta_llama": Word(name="meta-llama", base_url="https://api.llama.com/compat/v1", key="LLAMA_API_KEY"),
        "ai21": Word(name="ai21", base_url="https://api.ai21.com/studio/v1", key="AI21_API_KEY"),
        "friendliai": Word(name="friendliai", base_url="https://api.friendli.ai/serverless/v1", key="FRIENDLI_TOKEN"),
        "volcengine": Word(
            name="volcengine", base_url="https://ark.cn-beijing.volces.com/api/v3", key="VOLCENGINE_API_KEY"
        ),
        "dashscope": Word(
            name="dashscope",
            base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            key="DASHSCOPE_API_KEY",
        ),
        "voyage": Word(name="voyage", base_url="https://api.voyageai.com/v1", key="VOYAGE_API_KEY"),
        "jina_ai": Word(name="jina", base_url="https://api.jina.ai/v1", key="JINA_AI_API_KEY"),
        "cohere": Word(
            name="cohere",
            base_url="https://api.cohere.ai/compatibility/v1",
            key="COHERE_API_KEY",
            caveat=_NATIVE.format("Cohere", "documents, connectors and reranking are not in it"),
        ),
        "novita": Word(name="novita", base_url="https://api.novita.ai/v3/openai", key="NOVITA_API_KEY"),
        "hyperbolic": Word(name="hyperbolic", base_url="https://api.hyperbolic.xyz/v1", key="HYPERBOLIC_API_KEY"),
        "minimax": Word(name="minimax", base_url="https://api.minimax.io/v1", key="MINIMAX_API_KEY"),
        "baseten": Word(name="baseten", base_url="https://inference.baseten.co/v1", key="BASETEN_API_KEY"),
        "lambda_ai": Word(name="lambda", base_url="https://api.lambda.ai/v1", key="LAMBDA_API_KEY"),
        "vercel_ai_gateway": Word(
            name="vercel", base_url="https://ai-gateway.vercel.sh/v1", key="VERCEL_AI_GATEWAY_API_KEY"
        ),
        "gmi": Word(name="gmi", base_url="https://api.gmi-serving.com/v1", key="GMI_API_KEY"),
        "github": Word(name="github", base_url="https://models.inference.ai.azure.com", key="GITHUB_API_KEY"),
        "databricks": Word(name="databricks", key="DATABRICKS_API_KEY", base="DATABRICKS_API_BASE"),
        "bedrock_mantle": Word(name="bedrock-mantle", key="BEDROCK_MANTLE_API_KEY"),
    }
)

SAME: Final[Mapping[str, str]] = MappingProxyType(
    {"ollama_chat": "ollama", "cohere_chat": "cohere", "ai21_chat": "ai21", "anthropic_text": "anthropic"}
)
"""Two names of one provider."""

_OPENROUTER: Final = "OpenRouter has many of these models: add a deployment {provider: openrouter, model: ...}"
_BEDROCK: Final = (
    "signs its requests with AWS credentials, which this service does not do. " + _OPENROUTER + "; or give Bedrock's "
    "OpenAI-compatible endpoint as a provider of its own (base_url, and a Bedrock API key), where it has the model"
)
_VERTEX: Final = (
    "wants access tokens of Google Cloud that end within the hour, which this service does not fetch. For Gemini use "
    "providers.gemini with an API key of AI Studio. For others " + _OPENROUTER
)

ELSEWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "*": "Any model of any provider cannot be asked for by its bare name. Configure the providers: "
        "each has all its "
        "models, as provider/model. With providers.openrouter any other name goes there.",
        "bedrock": f"Amazon Bedrock {_BEDROCK}.",
        "bedrock_converse": f"Amazon Bedrock {_BEDROCK}.",
        "sagemaker": f"Amazon SageMaker {_BEDROCK}.",
        "sagemaker_nova": f"Amazon SageMaker {_BEDROCK}.",
        "amazon_nova": f"Amazon Nova {_BEDROCK}.",
        "sagemaker_chat": f"Amazon SageMaker {_BEDROCK}.",
        "vertex_ai": f"Vertex AI {_VERTEX}.",
        "vertex_ai_beta": f"Vertex AI {_VERTEX}.",
        "palm": "PaLM has been switched off by Google.",
        "vllm": "This runs vLLM inside LiteLLM's own process. Start a vLLM server, and give it as a provider: "
        "{server: vllm, base_url: ...}.",
        "replicate": f"Replicate has no OpenAI-compatible interface. {_OPENROUTER}.",
        "watsonx": "watsonx wants IAM tokens of IBM Cloud, which this service does not fetch.",
        "cloudflare": "Its address has your account in it. Give it by hand: {base_url: "
        "https://api.cloudflare.com/client/v4/accounts/<account>/ai/v1, api_key: ...}.",
        "custom": "Code of your own is not loaded: put it behind an OpenAI-compatible server, and give that as "
        "a provider.",
        "github_copilot": "It wants a login in a browser, which this service does not do.",
    }
)
"""Providers that cannot be asked from here, each with what to do."""

UNKNOWN_WORD: Final = (
    "is not known to this import. If it has an OpenAI-compatible interface, give it by hand: a provider with base_url "
    "and api_key, and a deployment of it"
)

FAMILIES: Final[tuple[tuple[str, str], ...]] = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4", "openai"),
    ("ft:gpt-", "openai"),
    ("text-embedding-", "openai"),
    ("davinci-", "openai"),
    ("babbage-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "vertex_ai"),
    ("command-", "cohere"),
)
"""How names without a provider begin, and whose LiteLLM takes them for."""

HOSTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "api.openai.com": "openai",
        "openrouter.ai": "openrouter",
        "api.deepseek.com": "deepseek",
        "api.groq.com": "groq",
        "api.mistral.ai": "mistral",
        "api.together.xyz": "together_ai",
        "api.x.ai": "xai",
        "generativelanguage.googleapis.com": "gemini",
        "api.perplexity.ai": "perplexity",
        "api.deepinfra.com": "deepinfra",
        "api.cerebras.ai": "cerebras",
        "api.sambanova.ai": "sambanova",
        "integrate.api.nvidia.com": "nvidia_nim",
        "api.fireworks.ai": "fireworks_ai",
    }
)
"""Whose server an address is, where it is given as that of any OpenAI-compatible one."""
