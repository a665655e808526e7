"""Settings of issuers: whose tokens are taken, by which keys they are verified, and what they open."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from llm_service.domain import Bounds, Doc, HttpUrl, NotEmpty, OrSingle, Pattern, Scope, fact

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]

ALGORITHMS: Final[tuple[Algorithm, ...]] = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)

_NAME: Final = Pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "a name of letters, digits, '.', '_' and '-'")
_TEXT: Final = Pattern(r"[!-~]{1,512}", "a text of 1 to 512 visible ASCII characters without blanks")
_CLAIM: Final = Pattern(r"[!-~]{1,256}", "a name of 1 to 256 visible ASCII characters without blanks")
_VALUE: Final = Pattern(r"[^\x00-\x1f\x7f]{1,512}", "a text of 1 to 512 characters on one line")
_PREFIX: Final = Pattern(r"[!-~]{0,64}", "at most 64 visible ASCII characters without blanks")
_URL: Final = HttpUrl(credentials="keys that verify are public, and asked for without any", query=None)


@fact
class Condition:
    """What a claim of a token has to hold."""

    claim: Annotated[
        str, _CLAIM, Doc("Name of a claim; a dot leads into an object (`realm_access.roles`) where no claim has it.")
    ]
    has: Annotated[
        tuple[Annotated[str, _VALUE], ...],
        OrSingle(),
        NotEmpty(),
        Doc("What it is, or has among its items: one of these; a `*` at the end stands for anything."),
    ]


@fact
class Grant(Condition):
    """What tokens get for what one of their claims holds."""

    scopes: Annotated[tuple[Scope, ...], Doc("Scopes that these tokens get beside the issuer's `scopes`.")] = ()
    models: Annotated[
        tuple[Annotated[str, _TEXT], ...],
        Doc("Models that these tokens may ask for beside the issuer's `models`: names, or `name*`."),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerOptions:
    """One issuer of tokens."""

    name: Annotated[
        str, _NAME, Doc("What it is called here: the ids of its callers begin with `jwt:<name>:`. No two are the same.")
    ]
    issuer: Annotated[
        str, _TEXT, Doc("The `iss` of its tokens, to the letter. Without keys named below, an address as well.")
    ]
    audience: Annotated[
        tuple[Annotated[str, _TEXT], ...],
        OrSingle(),
        NotEmpty(),
        Doc("The `aud` of tokens that are meant for this service: one of these, to the letter."),
    ]
    jwks_url: Annotated[
        str | None,
        _URL,
        Doc(
            "Address of its keys (a JSON Web Key Set). Unset, and without `jwks_file`: what "
            "`<issuer>/.well-known/openid-configuration` names, at the same host alone."
        ),
    ] = None
    jwks_file: Annotated[
        Path | None, Doc("File with its keys, in place of an address; read again every five minutes.")
    ] = None
    ca_file: Annotated[
        Path | None,
        Doc("PEM file with the certificate authorities to trust for its addresses. Unset: those of the system."),
    ] = None
    algorithms: Annotated[
        tuple[Algorithm, ...],
        NotEmpty(),
        Doc("How tokens may be signed. There is no algorithm of shared secrets, and no `none`."),
    ] = ALGORITHMS
    leeway_s: Annotated[
        float, Bounds(at_least=0, at_most=300), Doc("How far its clock may differ from this machine's.")
    ] = 30.0
    max_stale_s: Annotated[
        float,
        Bounds(at_least=300, at_most=30 * 86_400),
        Doc("How long keys are used on after they were fetched last, while the issuer is away."),
    ] = 86_400.0
    subject_claim: Annotated[
        str, _CLAIM, Doc("The claim that tells its callers apart: limits of keys, records and answers belong to it.")
    ] = "sub"
    user_claim: Annotated[str, _CLAIM, Doc("The claim that names the user whom requests count for.")] = "sub"
    user_prefix: Annotated[
        str | None,
        _PREFIX,
        Doc(
            "What stands before the user's name. Unset: `<name>:`, so that users of two issuers are never the same; "
            "an empty text makes them the same as those of api keys and requests."
        ),
    ] = None
    require: Annotated[tuple[Condition, ...], Doc("What a token must hold to be taken: all of these.")] = ()
    scopes: Annotated[tuple[Scope, ...], Doc("Scopes of every token of this issuer that is taken.")] = ()
    grants: Annotated[tuple[Grant, ...], Doc("Further scopes and models for what a token holds.")] = ()
    models: Annotated[
        tuple[Annotated[str, _TEXT], ...],
        Doc("Models that every token may ask for: names, or `name*`. Empty, here and in all of `grants`: all models."),
    ] = ()
