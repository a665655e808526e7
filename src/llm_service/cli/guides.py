"""What a command's signature does not say: examples, and when it exits with 1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Guide:
    """``examples``: command lines as they are typed, each with what it does. ``failed``: what the exit code 1 means.

    ``exits``: further exit codes. ``variables``: of the environment, beside those of its options and of the settings.
    """

    examples: Mapping[str, str]
    failed: str | None = None
    exits: Mapping[int, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


UNANSWERED: Final = "No service answered, or it refused; standard error says why."
UNDONE: Final = "Nothing was done: there is no such thing, or a value cannot be; standard error says why."

GUIDES: Final[Mapping[tuple[str, ...], Guide]] = MappingProxyType(
    {
        ("serve",): Guide(
            {
                "llm-service serve": "on http://127.0.0.1:8080, with simulated providers where no key is set",
                "llm-service serve --config llm-service.yaml --workers 4": "in four processes",
                "llm-service serve --port 0 --json": "on a free port, which the first line of output names",
            },
            failed="A worker cannot serve; the log says why.",
        ),
        ("check-config",): Guide(
            {
                "llm-service check-config": "the file that `serve` would take",
                "llm-service check-config --config new.yaml --json": "before it goes into service",
            }
        ),
        ("config-schema",): Guide({"llm-service config-schema > llm-service.schema.json": "for an editor"}),
        ("health",): Guide(
            {
                "llm-service health": "whether requests are taken",
                "llm-service health --live --port 9000": "whether the process is up",
            },
            failed="The service is not ready, or does not answer.",
        ),
        ("models",): Guide(
            {
                "llm-service models": "their names",
                "llm-service models --details --url https://llm.example.com": "with context and prices, elsewhere",
            },
            failed=UNANSWERED,
        ),
        ("limits",): Guide(
            {
                "llm-service limits": "those that hold for all",
                "llm-service limits --user alice": "those of a user",
            },
            failed=UNANSWERED,
        ),
        ("audit",): Guide(
            {
                "llm-service audit --since 2026-11-01 --act key.revoke": "who revoked keys this month",
                "llm-service audit --outcome refused --json": "what was refused, for a program",
            },
            failed=UNDONE,
        ),
        ("backup",): Guide(
            {
                "llm-service backup backups --keep 14": "a new one in a folder, of which the newest fourteen stay",
                "llm-service backup --verify backups/llm-service-20261126T030000Z.zip": "whether it could be restored",
                "llm-service backup older.zip --for-schema 8": "for an older program to restore",
            },
            failed="It is made, and older ones could not be removed. With --verify: it can be restored, and its "
            "records or pages are not as they were written.",
        ),
        ("restore",): Guide(
            {
                "llm-service restore backups/llm-service-20261126T030000Z.zip": "where nothing is yet",
                "llm-service restore older.zip --replace": "with what is there put aside first",
            },
            failed="It is restored, and its records or pages are not as they were written, or its configuration file "
            "could not be.",
        ),
        ("top",): Guide(
            {
                "llm-service top": "until Ctrl-C",
                "llm-service top --once --json": "one look, for a program",
            },
            failed=UNANSWERED,
            variables={"NO_COLOR": "Set to anything: no colours."},
        ),
        ("chat",): Guide(
            {
                'llm-service chat "Why is the sky blue?"': "one question",
                "llm-service chat --model deepseek/deepseek-flash": "a conversation, until Ctrl-D",
            },
            failed=UNANSWERED,
        ),
        ("sandbox",): Guide({"llm-service sandbox --port 8090 --seed 7": "the same answers at each start"}),
        ("help",): Guide(
            {
                "llm-service help keys create": "the same as `llm-service keys create --help`",
                "llm-service help --man > llm-service.1": "the manual, for a folder that `man` looks into",
                "llm-service help --json": "all commands with their options, for a program",
            }
        ),
        ("completion",): Guide(
            {
                "llm-service completion bash > ~/.local/share/bash-completion/completions/llm-service": "for bash",
                "llm-service completion zsh > ~/.zfunc/_llm-service": "for zsh, where `fpath` has that folder",
                "llm-service completion fish > ~/.config/fish/completions/llm-service.fish": "for fish",
            }
        ),
        ("providers", "list"): Guide({"llm-service providers list": "all, with what was decided at run time"}),
        ("providers", "test"): Guide(
            {
                "llm-service providers test": "all of them",
                "llm-service providers test deepseek --json": "one, for a program",
            },
            failed="A provider cannot be used; what it said stands beside it.",
        ),
        ("providers", "check"): Guide(
            {"llm-service providers check openrouter": "models that went, prices that changed"},
            failed="Something differs from what is expected.",
        ),
        ("providers", "enable"): Guide({"llm-service providers enable deepseek": "within a second"}, failed=UNDONE),
        ("providers", "disable"): Guide({"llm-service providers disable deepseek": "within a second"}, failed=UNDONE),
        ("providers", "drain"): Guide({"llm-service providers drain deepseek": "what runs finishes"}, failed=UNDONE),
        ("providers", "reset"): Guide({"llm-service providers reset deepseek": "as configured"}, failed=UNDONE),
        ("keys", "create"): Guide(
            {
                "llm-service keys create app": "a key without limits of its own",
                "llm-service keys create batch --budget-usd 12.50 --budget-period month --model 'deepseek/*'": (
                    "a budget, and some models"
                ),
                "llm-service keys create monitor --scope read --json": "one that only reads, for a program",
            },
            failed=UNDONE,
        ),
        ("keys", "list"): Guide({"llm-service keys list --limit 20": "the oldest 20"}, failed=UNDONE),
        ("keys", "show"): Guide({"llm-service keys show key_0123": "one key, never its secret"}, failed=UNDONE),
        ("keys", "update"): Guide(
            {
                "llm-service keys update key_0123 --requests-per-minute 60": "a limit",
                "llm-service keys update key_0123 --clear budget_usd": "no budget any more",
            },
            failed=UNDONE,
        ),
        ("keys", "rotate"): Guide(
            {"llm-service keys rotate key_0123 --overlap-s 3600": "both secrets work for an hour"}, failed=UNDONE
        ),
        ("keys", "revoke"): Guide({"llm-service keys revoke key_0123": "refused within a second"}, failed=UNDONE),
        ("usage", "report"): Guide(
            {
                "llm-service usage report --by key,model --since 2026-11-01": "who spent what on which model",
                "llm-service usage report --by day --status error --json": "errors by day, for a program",
            },
            failed=UNDONE,
        ),
        ("usage", "export"): Guide(
            {
                "llm-service usage export --out november.csv --since 2026-11-01 --until 2026-12-01": "a month",
                "llm-service usage export --out all.parquet --format parquet": "everything, for analysis",
            },
            failed=UNDONE,
        ),
        ("usage", "verify"): Guide(
            {"llm-service usage verify": "as a job of every night"}, failed="A record was changed, removed or added."
        ),
        ("usage", "reconcile"): Guide({"llm-service usage reconcile": "as a job of every night"}, failed=UNDONE),
        ("usage", "ship"): Guide(
            {
                "llm-service usage ship": "before a data directory is given up",
                "llm-service usage ship --within 600 --json": "from a job, while the database may be away",
            },
            failed="Keep the data directory: something is left, or the database is in it; standard error says which.",
        ),
        ("cache", "stats"): Guide(
            {
                "llm-service cache stats": "of 24 hours",
                "llm-service cache stats --by model,day --since 2026-11-01": "by model and day",
            },
            failed=UNANSWERED,
        ),
        ("cache", "purge"): Guide(
            {
                "llm-service cache purge --model deepseek/deepseek-flash": "the answers of a model",
                "llm-service cache purge --all --yes": "everything, without a question",
            },
            failed=UNANSWERED,
        ),
        ("cache", "simulate"): Guide(
            {
                "llm-service cache simulate --log november.csv --ttl 600 --ttl 3600 --plot ratios.svg": (
                    "what two times of freshness would have saved"
                ),
            }
        ),
        ("import", "litellm"): Guide(
            {
                "llm-service import litellm config.yaml --output llm-service.yaml": "the report goes to standard error",
                "llm-service import litellm config.yaml --json": "configuration and report as one object",
            },
            exits={3: "The configuration is made, and something of the other one is not in it: the report says what."},
        ),
    }
)
