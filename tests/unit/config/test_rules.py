"""What must hold between settings of several rooms."""

from decimal import Decimal

import pytest

from llm_service.config import SIMULATED, rules
from tests.unit.config.conftest import Configured

OLLAMA = "providers: {ollama: {base_url: 'http://127.0.0.1:11434/v1'}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("openrouter: {api_key: sk-test-1}", ("openrouter", "https://openrouter.ai/api/v1")),
        ("deepseek: {api_key: sk-test-1}", ("deepseek", "https://api.deepseek.com")),
        ("mine: {kind: deepseek, api_key: sk-test-1}", ("deepseek", "https://api.deepseek.com")),
        ("openrouter: {kind: openai_compatible, base_url: 'http://h/v1//'}", ("openai_compatible", "http://h/v1")),
        ("openai: {api_key: sk-test-1}", ("openai_compatible", "https://api.openai.com/v1")),
        ("mine: {server: groq, api_key: sk-test-1}", ("openai_compatible", "https://api.groq.com/openai/v1")),
        ("ollama:", ("openai_compatible", "http://127.0.0.1:11434/v1")),
    ],
)
def test_name_and_kind_complete_a_provider(configured: Configured, text: str, expected: tuple[str, str | None]) -> None:
    (options,) = configured.settings(f"providers:\n  {text}").providers.values()
    assert (options.kind, options.base_url) == expected


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("openrouter: {app_title: x}", "providers.openrouter has no api_key: set OPENROUTER_API_KEY"),
        ("deepseek:", "providers.deepseek has no api_key: set DEEPSEEK_API_KEY"),
        ("openai: {enabled: true}", "providers.openai has no api_key: set providers.openai.api_key"),
        ("mine: {kind: deepseek}", "providers.mine has no api_key: set providers.mine.api_key"),
    ],
)
def test_a_public_provider_without_key_is_a_mistake(configured: Configured, text: str, remedy: str) -> None:
    (mistake,) = configured.mistakes(f"providers:\n  {text}\n")
    assert mistake.endswith(f"{remedy}, or set enabled to false")


@pytest.mark.parametrize(
    "text",
    [
        "providers: {openrouter: {base_url: 'http://127.0.0.1:9/v1'}}",
        "providers: {openrouter: {enabled: false}}",
        "providers: {openrouter: }\nsandbox: on",
    ],
)
def test_a_key_is_not_asked_for_where_none_is_needed(configured: Configured, text: str) -> None:
    assert "openrouter" in configured.settings(text).providers


def test_a_key_that_is_empty_by_default_leaves_the_provider_out_and_says_so(configured: Configured) -> None:
    text = "providers: {openrouter: {api_key: '${A:-}'}, deepseek: {api_key: '${B:-}'}}"
    loaded = configured.load(text, {"B": "sk-test-1"})
    assert list(loaded.settings.providers) == ["deepseek"]
    assert loaded.notes == ("providers.openrouter is left out: its api_key is empty",)


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("olama", "is not the name of a configured provider; did you mean ollama?"),
        ("zzz", "is not the name of a configured provider"),
        ("deepseek", "is deepseek, which is not configured: set DEEPSEEK_API_KEY"),
    ],
)
def test_a_deployment_needs_a_configured_provider(configured: Configured, provider: str, message: str) -> None:
    text = (
        f"{OLLAMA}models: {{m: {{deployments: [{{provider: ollama, model: x}}, {{provider: {provider}, model: x}}]}}}}"
    )
    (mistake,) = configured.mistakes(text)
    assert mistake.endswith(f": models.m.deployments[1].provider {message}")
    assert mistake.startswith("llm-service.yaml:2:")


@pytest.mark.parametrize("provider", ["olama", "zzz", "deepseek"])
def test_a_price_needs_a_configured_provider(configured: Configured, provider: str) -> None:
    text = (
        f"{OLLAMA}prices: {{ollama/*: {{input_usd: 0, output_usd: 0}}, {provider}/x: {{input_usd: 1, output_usd: 2}}}}"
    )
    (mistake,) = configured.mistakes(text)
    assert mistake.startswith("llm-service.yaml:2:")
    assert f": prices.{provider}/x: {provider} is " in mistake


def test_a_provider_that_is_left_out_may_keep_its_prices(configured: Configured) -> None:
    text = "providers: {deepseek: {api_key: '${A:-}'}}\nprices: {deepseek/*: {input_usd: 0.5, output_usd: 1}}"
    assert configured.settings(text).prices["deepseek/*"].price.input_usd == Decimal("0.5")


@pytest.mark.parametrize(
    ("provider", "message"),
    [
        ("olama", "is not the name of a configured provider; did you mean ollama?"),
        ("zzz", "is not the name of a configured provider"),
        ("deepseek", "is deepseek, which is not configured: set DEEPSEEK_API_KEY"),
    ],
)
def test_a_limit_of_a_provider_needs_a_configured_one(configured: Configured, provider: str, message: str) -> None:
    limit = "{requests_per_minute: 5}"
    text = f"{OLLAMA}limits: {{per_provider: {{ollama: {limit}, {provider}: {limit}}}}}"
    (mistake,) = configured.mistakes(text)
    assert mistake.startswith("llm-service.yaml:2:")
    assert mistake.endswith(f": limits.per_provider.{provider} {message}")


def test_a_provider_that_is_left_out_may_keep_its_limits(configured: Configured) -> None:
    text = "providers: {deepseek: {api_key: '${A:-}'}}\nlimits: {per_provider: {deepseek: {requests_per_minute: 5}}}"
    assert set(configured.settings(text).limits.per_provider) == {"deepseek"}


@pytest.mark.parametrize("name", sorted(SIMULATED))
def test_in_sandbox_mode_its_providers_may_have_limits_and_models(configured: Configured, name: str) -> None:
    environ = {
        "LLM_SERVICE_LIMITS": f'{{"per_provider": {{"{name}": {{"requests_per_minute": 5}}}}}}',
        "LLM_SERVICE_MODELS": f'{{"m": {{"deployments": [{{"provider": "{name}", "model": "x"}}]}}}}',
    }
    for sandbox in ("auto", "on"):
        settings = configured.settings(environ=environ, sandbox=sandbox)
        assert (set(settings.limits.per_provider), set(settings.models)) == ({name}, {"m"})
    assert len(configured.mistakes(environ=environ, sandbox="off")) == 2
    assert len(configured.mistakes("{}", environ)) == 2


@pytest.mark.parametrize("place", ["global", "per_key", "per_user", "per_model: {m", "per_provider: {ollama"])
@pytest.mark.parametrize("amount", ["0.0000000000001", "0.0000000001", "1.0000000015"])
def test_a_budget_has_no_part_of_a_nano_usd(configured: Configured, place: str, amount: str) -> None:
    inner = f"{place}: {{budget_usd: {amount}}}" + "}" * place.count("{")
    (mistake,) = configured.mistakes(f"{OLLAMA}limits: {{{inner}}}")
    assert mistake.endswith(".budget_usd must be a decimal number such as 12.50, with at most 9 digits after the point")


@pytest.mark.parametrize("amount", ["0", "0.000000001", "12.500000000"])
def test_a_budget_is_kept_to_the_nano_usd(configured: Configured, amount: str) -> None:
    options = configured.settings(f"limits: {{global: {{budget_usd: {amount}}}}}").limits.everybody
    assert options.allowance.budget_nano_usd == Decimal(amount) * 10**9


@pytest.mark.parametrize("amount", ["-1", "1e3", ".5", "1000001", "free"])
def test_a_price_is_a_plain_decimal(configured: Configured, amount: str) -> None:
    text = f"{OLLAMA}prices: {{ollama/x: {{input_usd: '{amount}', output_usd: 1}}}}"
    (mistake,) = configured.mistakes(text)
    assert "prices.ollama/x.input_usd must be " in mistake


def test_in_the_sandbox_its_providers_are_there(configured: Configured) -> None:
    text = "sandbox: on\nmodels: {m: {deployments: [{provider: deepseek, model: x}]}}"
    assert set(configured.settings(text).models) == {"m"}


def test_what_follows_from_a_mistake_is_not_reported(configured: Configured) -> None:
    text = """\
    providers:
      openrouter: {api_key: '${GONE}'}
      deepseek: {base_url: nonsense}
    server: {host: 'not a host'}
    models: {m: {deployments: [{provider: openrouter, model: 'a b'}]}}
    auth: {admin_key: '${GONE}', required: always}
    """
    found = configured.mistakes("\n".join(line[4:] for line in text.splitlines()))
    assert [mistake.split()[1] for mistake in found] == [
        "providers.openrouter.api_key",
        "providers.deepseek.base_url",
        "server.host",
        "models.m.deployments[0].model",
        "auth.admin_key",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example.com", "::ffff:192.0.2.1"])
def test_other_machines_are_served_only_with_an_admin_key(configured: Configured, host: str) -> None:
    environ = {"LLM_SERVICE_SERVER__HOST": host}
    assert configured.mistakes(environ=environ) == [
        "LLM_SERVICE_SERVER__HOST: server.host is not a loopback address, and listening for other machines "
        "needs auth.admin_key: set LLM_SERVICE_AUTH__ADMIN_KEY"
    ]
    assert configured.settings(environ={**environ, "LLM_SERVICE_AUTH__ADMIN_KEY": "sk-test-admin"}).server.host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_this_machine_is_served_without_a_key(configured: Configured, host: str) -> None:
    assert configured.settings(server__host=host).server.on_loopback


def test_a_key_that_is_always_required_must_exist(configured: Configured) -> None:
    assert configured.mistakes("auth: {required: always}") == [
        "llm-service.yaml:1:18: auth.required is always, and that needs auth.admin_key: set LLM_SERVICE_AUTH__ADMIN_KEY"
    ]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("base_url: 'https://user:pass@h/v1'", "base_url must not carry credentials: a key belongs into api_key"),
        ("base_url: 'https://h/v1?api-version=1'", "base_url must not carry a query or a fragment"),
        ("base_url: 'https://h/v1#x'", "base_url must not carry a query or a fragment"),
        ("base_url: 'h/v1'", "base_url must be an http:// or https:// address"),
        ("base_url: 'gopher://h'", "base_url must be an http:// or https:// address"),
        ("base_url: 'http://'", "base_url must be an http:// or https:// address"),
        ("base_url: 'http://[::1'", "base_url must be an http:// or https:// address"),
        ("base_url: 'http://h:99999'", "base_url must be an http:// or https:// address"),
        ("base_url: 'http://h:0'", "base_url must be an http:// or https:// address"),
        ('base_url: "http://h\\r\\nX: y"', "base_url must be an address of printable ASCII characters without blanks"),
        ("base_url: 'http://hä'", "base_url must be an address of printable ASCII characters without blanks"),
        ("headers: {'a b': c}", "headers.a b: the name must be a header name"),
        ("headers: {Host: c}", "headers.Host: the name is a header that the service sets itself"),
        ('headers: {a: "b\\r\\nc: d"}', "headers.a must be visible ASCII characters, without a line end"),
        ("query: {'a&b': c}", "query.a&b: the name must be a query parameter's name"),
        ("server: 'V LLM'", "server must be the name of a row of the provider catalogue, such as vllm"),
        ("server: vlm", "server is no row of the provider catalogue; did you mean vllm?"),
        ("server: zzz", "server is no row of the provider catalogue; there are generic, openai, azure, "),
        ("max_connections: 0", "max_connections must be at least 1"),
    ],
)  # fmt: skip
def test_a_provider_is_checked(configured: Configured, settings: str, problem: str) -> None:
    where = "" if "base_url" in settings else "base_url: 'http://h', "
    (mistake,) = configured.mistakes(f"providers: {{x: {{{where}{settings}}}}}")
    assert f": providers.x.{problem}" in mistake


@pytest.mark.parametrize("settings", ["app_title: x", "server: azure", "server: generic"])
def test_a_provider_must_be_somewhere(configured: Configured, settings: str) -> None:
    assert configured.mistakes(f"providers: {{x: {{{settings}}}}}") == [
        "llm-service.yaml:1:16: providers.x needs a base_url, or a server that has one"
    ]


@pytest.mark.parametrize("name", ["a/b", "-a", "", "a b", "ä", "a" * 65])
def test_a_provider_needs_a_name_that_can_stand_before_a_slash(configured: Configured, name: str) -> None:
    (mistake,) = configured.mistakes(f"providers: {{'{name}': {{base_url: 'http://h'}}}}")
    assert "the name must be a name of letters, digits, '.', '_' and '-'" in mistake


def test_the_semantic_cache_wants_its_packages(configured: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    text = OLLAMA + "cache: {semantic: {enabled: true}}\n"
    monkeypatch.setattr(rules, "missing_packages", lambda: ["numpy", "onnxruntime"])
    (mistake,) = configured.mistakes(text)
    assert mistake == (
        "llm-service.yaml:2:29: cache.semantic.enabled wants packages that are not installed (numpy, onnxruntime): "
        "pip install 'llm-service[semantic]'"
    )
    assert not configured.settings(text.replace("true", "false")).cache.semantic.enabled
    monkeypatch.setattr(rules, "missing_packages", list)
    assert configured.settings(text).cache.semantic.enabled


FALLING_BACK = "deployments: [{provider: ollama, model: x}]"


def test_fallbacks_that_mean_no_model_are_mistakes_and_all_are_told(configured: Configured) -> None:
    text = (
        f"{OLLAMA}models:\n"
        f"  careful: {{{FALLING_BACK}}}\n"
        f"  fast: {{{FALLING_BACK}, fallbacks: [careful2, fast],"
        " context_fallbacks: [olama/x], content_fallbacks: [y]}\n"
    )
    mistakes = configured.mistakes(text)
    means = "is neither a name of models nor provider/model of a configured provider"
    assert [one.partition(": ")[2] for one in mistakes] == [
        f"models.fast.fallbacks[0] {means}; did you mean careful?",
        "models.fast.fallbacks[1] is the model itself",
        f"models.fast.context_fallbacks[0] {means}",
        f"models.fast.content_fallbacks[0] {means}",
    ]
    assert all(one.startswith("llm-service.yaml:4:") for one in mistakes)


@pytest.mark.parametrize(
    ("providers", "fallback"),
    [
        ("", "careful"),
        ("", "ollama/other"),
        (", openrouter: {api_key: sk-test-1}", "anything/at-all"),
        (", mine: {kind: openrouter, api_key: sk-test-1}", "anything"),
        (", deepseek: {api_key: sk-test-1}", "deepseek-chat"),
    ],
)
def test_a_fallback_that_the_service_can_resolve_is_taken(
    configured: Configured, providers: str, fallback: str
) -> None:
    ours = f"providers: {{ollama: {{base_url: 'http://127.0.0.1:11434/v1'}}{providers}}}\n"
    models = f"models: {{careful: {{{FALLING_BACK}}}, fast: {{{FALLING_BACK}, fallbacks: [{fallback}]}}}}"
    assert configured.settings(ours + models).models["fast"].fallbacks == (fallback,)
