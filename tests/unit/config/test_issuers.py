"""What must hold of issuers of tokens: each mistake says where and what to do."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_service.services.issuers import packages, problems
from tests.support.issuers import SigningIssuer
from tests.unit.config.conftest import Configured

PAGE = Path(__file__).parents[3] / "docs" / "keys.md"
GOOD = "name: sso, issuer: 'https://sso.example.com', audience: llm-service, scopes: [inference]"
GITHUB = "name: gh, issuer: 'https://token.actions.githubusercontent.com', audience: llm"


def text(*issuers: str) -> str:
    return f"auth: {{jwt: [{', '.join(f'{{{issuer}}}' for issuer in issuers)}]}}\n"


def test_three_settings_and_a_scope_make_an_issuer(configured: Configured) -> None:
    (issuer,) = configured.settings(text(GOOD)).auth.jwt
    assert (issuer.audience, issuer.scopes, "ES256" in issuer.algorithms) == (("llm-service",), ("inference",), True)


@pytest.mark.parametrize(
    ("issuer", "mistake"),
    [
        (f"{GOOD}, algorithms: [HS256]", "auth.jwt[0].algorithms[0] must be RS256, "),
        (f"{GOOD}, algorithms: [none]", "auth.jwt[0].algorithms[0] must be RS256, "),
        (f"{GOOD}, algorithms: []", "auth.jwt[0].algorithms must have at least one item"),
        (f"{GOOD}, jwks_url: 'http://sso.example.com/keys'", "auth.jwt[0].jwks_url must be https"),
        (GOOD.replace("https", "http"), "auth.jwt[0].issuer must be https"),
        (GOOD.replace("https://sso.example.com", "acme"), "auth.jwt[0].issuer is no address that describes itself"),
        (f"{GOOD}, jwks_url: 'https://a/k', jwks_file: k.json", "auth.jwt[0].jwks_file is a second place"),
        (f"{GOOD}, jwks_file: missing.json", "auth.jwt[0].jwks_file cannot be read: No such file"),
        (f"{GOOD}, ca_file: missing.pem", "auth.jwt[0].ca_file cannot be read: No such file"),
        (GOOD.replace(", scopes: [inference]", ""), "auth.jwt[0] gives nobody a scope"),
        (GOOD.replace("audience: llm-service", "audience: []"), "auth.jwt[0].audience must have at least one item"),
        (f"{GOOD}, grants: [{{claim: a, has: b}}]", "auth.jwt[0].grants[0] gives nothing"),
        (f"{GITHUB}, scopes: [inference]", "auth.jwt[0].scopes opens to everybody"),
        (f"{GITHUB}, scopes: [read], require: [{{claim: ref, has: '*'}}]", "auth.jwt[0].scopes opens to everybody"),
        (f"{GITHUB}, grants: [{{claim: ref, has: [a, '*'], scopes: [read]}}]", "auth.jwt[0].grants[0] opens to every"),
    ],
)
def test_a_mistake_says_where_it_is_and_what_to_do(configured: Configured, issuer: str, mistake: str) -> None:
    (said,) = configured.mistakes(text(issuer))
    assert mistake in said


@pytest.mark.parametrize(
    "issuer",
    [
        f"{GITHUB}, scopes: [inference], require: [{{claim: repository_owner, has: acme}}]",
        f"{GITHUB}, grants: [{{claim: repository, has: acme/app, scopes: [inference]}}]",
        f"{GOOD}, jwks_url: 'http://127.0.0.1:9/keys'",
        GOOD.replace("https://sso.example.com", "http://localhost:8081/realms/acme"),
    ],
)
def test_what_is_safe_is_no_mistake(configured: Configured, issuer: str) -> None:
    assert len(configured.settings(text(issuer)).auth.jwt) == 1


def test_the_examples_of_the_page_can_be_loaded(configured: Configured, write: Callable[[str, str], Path]) -> None:
    path = write("cluster-keys.json", SigningIssuer().jwks.decode())
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    loaded = [configured.settings(one.replace("/etc/llm-service", str(path.parent))).auth.jwt for one in examples]
    assert [issuer.name for (issuer,) in loaded] == ["sso", "github", "cluster"]


def test_two_issuers_differ_in_name_and_issuer(configured: Configured) -> None:
    assert [said.partition(": ")[2] for said in configured.mistakes(text(GOOD, GOOD))] == [
        "auth.jwt[1].name is sso, as that of another issuer is already",
        "auth.jwt[1].issuer is https://sso.example.com, as that of another issuer is already",
    ]


def test_a_file_of_keys_is_read_when_the_settings_are(
    configured: Configured, write: Callable[[str, str], Path]
) -> None:
    write("keys.json", SigningIssuer().jwks.decode())
    assert configured.settings(text(f"{GOOD}, jwks_file: keys.json"))
    write("keys.json", json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}))
    (said,) = configured.mistakes(text(f"{GOOD}, jwks_file: keys.json"))
    assert "auth.jwt[0].jwks_file has no key that can verify a token" in said


def test_without_the_extra_it_is_said_what_to_install(configured: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert packages.missing_packages() == []
    monkeypatch.setattr(problems, "missing_packages", lambda: ["jwt"])
    (said,) = configured.mistakes(text(GOOD))
    assert said.endswith("auth.jwt[0] wants packages that are not installed (jwt): pip install 'llm-service[jwt]'")
