"""Settings of filters: what is looked for, where, and what happens then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

from llm_service.domain import (
    HEADER_VALUE,
    Bounds,
    Confidential,
    Direction,
    Doc,
    FilterAction,
    HeaderName,
    HttpUrl,
    Pattern,
)

FilterType = Literal[
    "keywords", "regex", "pii", "secrets", "prompt_injection", "moderation", "allowed_models", "allowed_topics"
]
Entity = Literal["email", "phone", "card", "iban", "ip", "national_id"]

_NAME: Final = Pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits, '.', '_' and '-'")
_URL: Final = HttpUrl(credentials="they belong into headers", query="what is secret belongs into headers")
_COUNTRY: Final = Pattern(r"[A-Z]{2}", "a country's two letters, such as DE")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterOptions:
    """One filter: what it looks for in prompts, answers or both, and what it does with what it finds."""

    type: Annotated[FilterType, Doc("What is looked for: docs/filters.md tells of each.")]
    name: Annotated[
        str | None,
        _NAME,
        Doc("What it is called in errors, records and metrics; unset: its type. No two are the same."),
    ] = None
    enabled: Annotated[bool, Doc("Whether it is in force.")] = True
    on: Annotated[tuple[Direction, ...], Doc("Which side is looked at: `input`, `output`; empty: both.")] = ()
    action: Annotated[
        FilterAction,
        Doc("`block` refuses the prompt or ends the answer, `mask` replaces what is found, `report` only tells."),
    ] = "block"
    on_failure: Annotated[
        Literal["open", "closed"],
        Doc("What becomes of a text that cannot be judged: `open` lets it pass, `closed` blocks it."),
    ] = "closed"
    models: Annotated[
        tuple[str, ...],
        Doc("Only requests that these may answer: a name that is asked for, `provider/model`, `name*`; empty: all."),
    ] = ()
    keys: Annotated[tuple[str, ...], Doc("Only requests of these api keys, by id or name; empty: all.")] = ()
    except_keys: Annotated[tuple[str, ...], Doc("Not the requests of these api keys, by id or name.")] = ()
    allow: Annotated[tuple[str, ...], Doc("Texts that are no find, such as your own e-mail address.")] = ()
    words: Annotated[tuple[str, ...], Doc("Of `keywords`: words and phrases, in whatever spelling.")] = ()
    words_file: Annotated[Path | None, Doc("Of `keywords`: a file with a word or phrase on each line.")] = None
    whole_words: Annotated[bool, Doc("Of `keywords`: whether a word within a longer one is no find.")] = True
    patterns: Annotated[
        tuple[str, ...], Doc("Of `regex`: patterns in RE2's syntax, without look-around and back-references.")
    ] = ()
    entities: Annotated[tuple[Entity, ...], Doc("Of `pii`: what is looked for; empty: all but `ip`.")] = ()
    countries: Annotated[
        tuple[Annotated[str, _COUNTRY], ...], Doc("Of `pii`: whose national ids are looked for; empty: all known ones.")
    ] = ()
    reversible: Annotated[
        bool, Doc("Of `mask`: placeholders are numbered, and in the answer what they stood for is put back.")
    ] = False
    entropy: Annotated[bool, Doc("Of `secrets`: whether random-looking strings of no known format are finds.")] = False
    threshold: Annotated[
        float | None,
        Bounds(above=0, at_most=1),
        Doc("Of `prompt_injection` and `moderation`: from which score on it is a find."),
    ] = None
    model: Annotated[str | None, Doc("Of `moderation` and `allowed_topics`: the model that is asked.")] = None
    url: Annotated[str | None, _URL, Doc("Of `moderation`: the webhook that is asked, in place of a model.")] = None
    headers: Annotated[
        Mapping[Annotated[str, HeaderName()], Annotated[str, HEADER_VALUE]],
        Confidential(),
        Doc("Of `moderation`: headers for the webhook, such as `Authorization`; the values are treated as secrets."),
    ] = field(default_factory=dict, repr=False)
    categories: Annotated[
        tuple[str, ...], Doc("Of `moderation`: only these categories are finds; empty: all that the model knows.")
    ] = ()
    topics: Annotated[
        tuple[str, ...], Doc("Of `allowed_topics`: what may be talked about, each in a few words for the model.")
    ] = ()
    timeout_s: Annotated[
        float,
        Bounds(above=0, at_most=60),
        Doc("Of `moderation` and `allowed_topics`: how long a verdict is waited for."),
    ] = 5.0
    allowed: Annotated[
        tuple[str, ...], Doc("Of `allowed_models`: names that may be asked for, or `name*`; all others are blocked.")
    ] = ()

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or self.type

    @property
    def sides(self) -> tuple[Direction, ...]:
        """Which sides of a request it looks at."""
        if self.type in ("allowed_models", "prompt_injection", "allowed_topics"):
            return ("input",)
        return self.on or ("input", "output")
