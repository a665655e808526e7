"""What may be said of a notifier in the configuration, and what check-config says of the rest."""

import re
from pathlib import Path

import pytest

from llm_service.config import SettingsError, load_settings
from llm_service.config.render import rendered
from llm_service.domain import Secret

DOCUMENT = Path(__file__).parents[3] / "docs" / "notices.md"
SLACK = "{kind: slack, webhook_url: 'https://hooks.slack.com/services/T0/B0/hidden'}"
MAIL = "kind: email, host: mail.example.com, from: llm@example.com, to: [ops@example.com]"


def loaded(folder: Path, notifier: str, **environ: str):
    (folder / "llm-service.yaml").write_text(f"notifiers:\n  ops: {notifier}\n", encoding="utf-8")
    return load_settings(path=None, environ=environ, cwd=folder).settings


def mistakes(folder: Path, notifier: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(folder, notifier, **environ)
    assert "hidden" not in str(caught.value)
    return [mistake.message for mistake in caught.value.mistakes]


def test_each_kind_has_what_it_needs(tmp_path: Path) -> None:
    (slack,) = loaded(tmp_path, SLACK).notifiers.values()
    assert (slack.kind, slack.webhook_url) == ("slack", Secret("https://hooks.slack.com/services/T0/B0/hidden"))
    (webhook,) = loaded(
        tmp_path, "{kind: webhook, url: 'http://h/x?y=z', headers: {authorization: t}}"
    ).notifiers.values()
    assert webhook.headers == {"authorization": "t"}
    (mail,) = loaded(tmp_path, f"{{{MAIL}, user: a, password: b}}").notifiers.values()
    assert (mail.sender, mail.to, mail.mail_port, mail.encryption) == (
        "llm@example.com",
        ("ops@example.com",),
        587,
        "starttls",
    )


def test_the_documented_example_can_be_loaded(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "slack-webhook").write_text("https://hooks.slack.com/services/T0/B0/hidden\n")
    (tmp_path / "llm-service.yaml").write_text(example.replace("/run/secrets", str(tmp_path)), encoding="utf-8")
    environ = {"HOOK_TOKEN": "a", "HOOK_SECRET": "b", "SMTP_PASSWORD": "c"}
    assert len(load_settings(path=None, environ=environ, cwd=tmp_path).settings.notifiers) == 3


@pytest.mark.parametrize(("encryption", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_usual_port_follows_from_the_encryption(tmp_path: Path, encryption: str, port: int) -> None:
    (mail,) = loaded(tmp_path, f"{{{MAIL}, encryption: {encryption}}}").notifiers.values()
    assert mail.mail_port == port


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "{kind: webhook, url: 'http://h/hidden', secret: hidden, headers: {x-a: hidden}}")
    assert "hidden" not in f"{rendered(settings)} {settings!r}"


def test_a_notifier_can_come_from_the_environment(tmp_path: Path) -> None:
    (slack,) = loaded(
        tmp_path,
        "{kind: slack}",
        LLM_SERVICE_NOTIFIERS__OPS__WEBHOOK_URL="https://hooks.slack.com/services/T0/B0/hidden",
    ).notifiers.values()
    assert slack.webhook_url is not None


@pytest.mark.parametrize(
    ("notifier", "expected"),
    [
        ("{url: 'http://h/hidden'}", ["notifiers.ops needs kind"]),
        ("{kind: slak}", ["notifiers.ops.kind must be webhook, slack or email; did you mean slack?"]),
        ("{kind: slack}", ["notifiers.ops needs webhook_url: its kind is slack"]),
        ("{kind: slack, webhook_url: '${NOT_SET:-}'}", ["notifiers.ops needs webhook_url: its kind is slack"]),
        ("{kind: webhook, url: 'ftp://h/hidden'}", ["notifiers.ops.url must be an http:// or https:// address"]),
        (
            "{kind: webhook, url: 'http://a:hidden@h/'}",
            ["notifiers.ops.url must not carry credentials: they belong into headers"],
        ),
        ("{kind: webhook, url: 'http://h/#hidden'}", ["notifiers.ops.url must not carry a fragment"]),
        (
            "{kind: webhook, url: 'http://h/', headers: {host: x}}",
            ["notifiers.ops.headers.host: the name is a header that the service sets itself"],
        ),
        (
            "{kind: slack, webhook_url: 'https://h/', secret: hidden, to: [a@b.c]}",
            [
                "notifiers.ops.secret is no setting of the kind slack",
                "notifiers.ops.to is no setting of the kind slack",
            ],
        ),
        (
            "{kind: email}",
            [
                "notifiers.ops needs from: its kind is email",
                "notifiers.ops needs host: its kind is email",
                "notifiers.ops needs to: its kind is email",
            ],
        ),
        (f"{{{MAIL}, user: a}}", ["notifiers.ops.user needs password beside it"]),
        (f"{{{MAIL}, password: hidden}}", ["notifiers.ops.password needs user beside it"]),
        (
            f"{{{MAIL}, encryption: none, user: a, password: hidden}}",
            ["notifiers.ops.password would travel in clear: encryption must be starttls or tls"],
        ),
        (
            '{kind: email, host: h, from: "a@b.c\\r\\nBcc: x@y.z", to: []}',
            [
                "notifiers.ops.from must be an e-mail address such as ops@example.com",
                "notifiers.ops.to must have at least one item",
            ],
        ),
        (
            "{kind: email, host: h, from: a@b.c, to: ['a@b.c> SIZE=1']}",
            ["notifiers.ops.to[0] must be an e-mail address such as ops@example.com"],
        ),
        ("{kind: slack, webhook_url: 'https://h/', timeout_s: 0}", ["notifiers.ops.timeout_s must be above 0"]),
    ],
)
def test_mistakes_are_named_and_no_secret_is_repeated(tmp_path: Path, notifier: str, expected: list[str]) -> None:
    assert sorted(mistakes(tmp_path, notifier)) == sorted(expected)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "'::1'"])
def test_a_password_may_go_in_clear_to_this_machine(tmp_path: Path, host: str) -> None:
    mail = MAIL.replace("mail.example.com", host)
    assert loaded(tmp_path, f"{{{mail}, encryption: none, user: a, password: b}}").notifiers
