"""The forms of keys, tokens and passwords that are known: a row each."""

import re
from typing import Final, NamedTuple

from llm_service.filters.secrets import checks
from llm_service.filters.secrets.checks import Check

PROVIDER: Final = "provider_key"
CLOUD: Final = "cloud_key"
TOKEN: Final = "token"  # noqa: S105 - a label
JWT: Final = "jwt"
PRIVATE: Final = "private_key"
PASSWORD: Final = "password"  # noqa: S105 - a label
PASSWORD_URL: Final = "password_url"  # noqa: S105 - a label
AUTHORIZATION: Final = "authorization"
RANDOM: Final = "random"

_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9_:~-]|\\\.)+(?![{+*?])")

_NEW_LINE: Final = r"(?:\s|\\[nr]){1,8}"
_BODY: Final = r"[A-Za-z0-9+/=]"
_NAMES: Final = (
    r"(?:passw(?:or)?d|passwort|kennwort|passphrase|pwd|contrase[^\s:=]{1,3}a|senha|mot de passe|wachtwoord|haslo"
    r"|parola"
    r"|secret|token|api[_ -]?key|access[_ -]?key|private[_ -]?key|secret[_ -]?key|auth[_ -]?key|credential)"
)
_GIVEN: Final = r"""(?:["'\]]{0,2}\s{0,3}(?:=>|:=|[:=])\s{0,3}|\s(?:is|ist|est|es|e):?\s{1,3})["'`]{0,3}"""
_VALUE: Final = r"[!#$%&*+\-./0-9:=?@A-Z^_a-z|~]{8,}"


REACH: Final = 256
"""Characters that tell a form, where that is known."""


class Format(NamedTuple):
    """One form: ``pattern`` (RE2), whose group 1 is the secret; ``hint``, without which there is none; what it is
    called in verdicts; and the check of what has the form.

    Forms longer than what streams hold back have a least length in place of their own, so that they are known while
    they still come; a checksum stands only where the whole is short enough.

    ``reach``, ``is_open``: as of ``scanner.Row``.
    """

    label: str
    pattern: str
    hint: str
    check: Check = checks.genuine
    reach: int | None = None
    is_open: bool = False


def key(label: str, pattern: str, *, hint: str = "", check: Check = checks.genuine) -> Format:
    """A form that begins with a word's beginning; its hint is the literal with which it begins."""
    literal = _LITERAL.match(pattern)
    return Format(label, rf"\b({pattern})", hint or rf"\b{literal[0] if literal else pattern}", check)


def exact(label: str, pattern: str, *, hint: str = "", check: Check = checks.genuine) -> Format:
    """A form after which no further character of a key stands."""
    made = key(label, pattern, hint=hint, check=check)
    return made._replace(pattern=rf"{made.pattern}(?:[^\w-]|$)", reach=REACH)


# fmt: off
FORMATS: Final[tuple[Format, ...]] = (
    # models
    key(PROVIDER, r"sk-or-v1-[0-9a-f]{20,}"),                                    # OpenRouter
    key(PROVIDER, r"sk-ant-[a-z]{2,8}\d\d-[\w-]{20,}", hint=r"\bsk-ant-"),       # Anthropic
    key(PROVIDER, r"sk-(?:proj|svcacct|admin|None)-[\w-]{20,}", hint=r"\bsk-(?:proj|svca|admi|None)"),  # OpenAI
    key(PROVIDER,
    r"sk-[\w-]{20,}", hint=r"\bsk-[\w-]", check=checks.random),       # OpenAI before 2024, DeepSeek, others
    key(PROVIDER, r"llms_[a-z2-7]{12}_[a-z2-7]{20,}"),                           # this service
    exact(PROVIDER, r"hf_[A-Za-z]{34}"),                                         # Hugging Face
    exact(PROVIDER, r"api_org_[A-Za-z]{34}"),
    exact(PROVIDER, r"r8_[0-9A-Za-z]{37}"),                                      # Replicate
    exact(PROVIDER, r"gsk_[0-9A-Za-z]{52}"),                                     # Groq
    key(PROVIDER, r"xai-[0-9A-Za-z]{40,}"),                                      # xAI
    exact(PROVIDER, r"pplx-[0-9A-Za-z]{48}"),                                    # Perplexity
    exact(PROVIDER, r"fw_[0-9A-Za-z]{22,24}"),              # Fireworks
    key(PROVIDER, r"nvapi-[\w-]{40,}"),                                          # NVIDIA
    exact(PROVIDER, r"csk-[0-9a-z]{48}"),                                        # Cerebras
    exact(PROVIDER, r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),                # LangSmith
    exact(PROVIDER, r"tvly-(?:dev-|prod-)?[0-9A-Za-z]{32}"),                     # Tavily
    key(PROVIDER, r"pcsk_[0-9A-Za-z]{5,6}_[0-9A-Za-z]{40,}"),                    # Pinecone
    exact(PROVIDER, r"jina_[\w-]{60}"),                                          # Jina
    # clouds
    exact(CLOUD, r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}", hint=r"\bA(?:KIA|SIA|BIA|CCA)[A-Z2-7]"),  # AWS
    Format(CLOUD, r"(?i:aws.{0,3}secret.{0,3}(?:access.{0,3})?key|secret_?access_?key)[^\w/+]{1,8}"
           r"([0-9A-Za-z/+]{40})(?:[^0-9A-Za-z/+=]|$)", r"(?i:secret.{0,3}(?:access.{0,3})?key)", checks.random),
    Format(CLOUD, r"\bA(?:KIA|SIA)[A-Z2-7]{16}[^0-9A-Za-z/+=](?s:.{0,120}?[^0-9A-Za-z/+=])??"
           r"([0-9A-Za-z/+]{40})(?:[^0-9A-Za-z/+=]|$)", r"\bA(?:KIA|SIA)[A-Z2-7]{2}", checks.random),
    exact(CLOUD, r"AIza[\w-]{35}"),                                              # Google
    exact(CLOUD, r"GOCSPX-[\w-]{28}"),
    key(CLOUD, r"ya29\.[\w-]{30,}"),
    Format(CLOUD, r'"private_key_id"\s{0,3}:\s{0,3}"([0-9a-f]{40})"', "private_key_id"),
    Format(CLOUD, r"(?i:AccountKey|SharedAccessKey)="
    r"([0-9A-Za-z+/]{42,}={0,2})", r"(?i:AccountKey|AccessKey)="),  # Azure
    Format(CLOUD, r"[?&]sig=([0-9A-Za-z%+/_-]{40,})", r"[?&]sig=[0-9A-Za-z%]", checks.random),
    exact(CLOUD, r"[\w.~-]{3}\dQ~[\w.~-]{31,34}", hint=r"\dQ~"),
    exact(CLOUD, r"LTAI[0-9A-Za-z]{16,22}"),                # Alibaba
    key(CLOUD, r"do[opr]_v1_[0-9a-f]{40,}", hint=r"\bdo[opr]_v1_"),              # DigitalOcean
    key(CLOUD, r"v1\.0-[0-9a-f]{24}-[0-9a-f]{20,}", hint=r"\bv1\.0-[0-9a-f]{8}"),  # Cloudflare
    key(CLOUD, r"hv[sbr]\.[\w-]{24,}", hint=r"\bhv[sbr]\.", check=checks.random),  # Vault
    Format(CLOUD, r"\b[0-9A-Za-z]{14}(\.atlasv1\.[\w-]{40,})", r"\.atlasv1\."),  # Terraform
    exact(CLOUD, r"dapi[0-9a-f]{32}(?:-\d)?", hint=r"\bdapi[0-9a-f]"),           # Databricks
    exact(CLOUD, r"pul-[0-9a-f]{40}"),                                           # Pulumi
    exact(CLOUD,
    r"dp\.(?:pt|st|ct|sa)\.(?:[a-z0-9_-]{2,35}\.)?[0-9A-Za-z]{40,44}", hint=r"\bdp\.[psc][ta]\."),  # Doppler
    key(CLOUD, r"pscale_(?:tkn|pw|oauth)_[\w.-]{32,}", hint=r"\bpscale_"),       # PlanetScale
    exact(CLOUD, r"sbp_[0-9a-f]{40}"),                                           # Supabase
    exact(CLOUD, r"sb_secret_[\w-]{31}"),
    key(CLOUD, r"tskey-[a-z]{2,8}-[0-9A-Za-z]{8,}-[0-9A-Za-z]{16,}", hint=r"\btskey-"),  # Tailscale
    key(CLOUD, r"sha256~[\w-]{43}"),                                             # OpenShift
    key(CLOUD, r"HRKU-[\w-]{36,}"),                                              # Heroku
    # code, packages, chats, payments
    exact(TOKEN, r"gh[pousr]_[0-9A-Za-z]{36}", hint=r"\bgh[pousr]_[0-9A-Za-z]", check=checks.github),
    key(TOKEN, r"github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{16,}"),
    key(TOKEN, r"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas|ffct)-[\w.-]{20,}", hint=r"\bgl[a-z]{2,5}-"),  # GitLab
    key(TOKEN, r"xox[abeoprs]-[0-9A-Za-z-]{16,}", hint=r"\bxox[a-z]-"),          # Slack
    key(TOKEN, r"xapp-\d-[A-Z0-9]{8,}-\d{8,}-[0-9a-f]{16,}", hint=r"\bxapp-\d"),
    Format(TOKEN, r"hooks\.slack\.com/(?:services|workflows)/(T[A-Z0-9]{6,12}/[AB][A-Z0-9]{6,12}/[0-9A-Za-z]{20,})",
           r"hooks\.slack\.com/"),
    key(TOKEN, r"(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}", hint=r"\b[sr]k_(?:live|test)_"),  # Stripe
    key(TOKEN, r"whsec_[0-9A-Za-z+/]{24,}"),
    exact(TOKEN, r"SK[0-9a-f]{32}", hint=r"\bSK[0-9a-f]{4}"),                    # Twilio
    Format(TOKEN, r"\bAC[0-9a-f]{32}\b(?s:.{1,80}?)\b([0-9a-f]{32})(?:[^\w-]|$)", r"\bAC[0-9a-f]{4}"),
    key(TOKEN, r"SG\.[\w-]{22}\.[\w-]{20,}", hint=r"\bSG\.[\w-]"),               # SendGrid
    exact(TOKEN, r"key-[0-9a-f]{32}", hint=r"\bkey-[0-9a-f]{4}"),                # Mailgun
    exact(TOKEN, r"[0-9a-f]{32}-us\d{1,2}", hint=r"[0-9a-f]-us\d"),              # Mailchimp
    exact(TOKEN, r"npm_[0-9A-Za-z]{36}"),
    key(TOKEN, r"pypi-AgE[\w-]{24,}"),
    key(TOKEN, r"rubygems_[0-9a-f]{40,}"),
    exact(TOKEN, r"cio[0-9A-Za-z]{32}", hint=r"\bcio[0-9A-Za-z]{8}"),  # crates.io
    exact(TOKEN, r"dckr_(?:pat|oat)_[\w-]{27,32}", hint=r"\bdckr_"),             # Docker
    exact(TOKEN, r"\d{8,10}:AA[\w-]{33}", hint=r"\d:AA[\w-]"),                   # Telegram
    exact(TOKEN, r"[MNO][\w-]{23,25}\.[\w-]{6}\.[\w-]{27,38}", hint=r"\.[\w-]{6}\.[\w-]{8}"),  # Discord
    Format(TOKEN, r"discord(?:app)?\.com/api/webhooks/(\d{17,20}/[\w-]{40,})", r"/api/webhooks/\d"),
    exact(TOKEN, r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}", hint=r"\bshp[acps]{1,2}[at]?_"),  # Shopify
    exact(TOKEN, r"sq0csp-[\w-]{43}"),                                           # Square
    exact(TOKEN, r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),                             # Postman
    exact(TOKEN, r"ntn_[0-9A-Za-z]{40,46}"),                                     # Notion
    exact(TOKEN, r"lin_api_[0-9A-Za-z]{40}"),                                    # Linear
    key(TOKEN, r"ATATT3[\w=-]{30,}"),                                            # Atlassian
    key(TOKEN, r"pat[0-9A-Za-z]{14}\.[0-9a-f]{32,}", hint=r"\bpat[0-9A-Za-z]{14}\."),  # Airtable
    key(TOKEN, r"figd_[\w-]{36,}"),                                              # Figma
    exact(TOKEN, r"NRAK-[A-Z0-9]{27}"),                                          # New Relic
    exact(TOKEN, r"glsa_[0-9A-Za-z]{32}_[0-9a-fA-F]{8}"),                        # Grafana
    key(TOKEN, r"glc_eyJ[0-9A-Za-z+/]{32,}"),
    key(TOKEN, r"sntry[su]_[\w+/=]{40,}", hint=r"\bsntry[su]_"),                 # Sentry
    key(TOKEN, r"dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{20,}", hint=r"\bdt0[a-z]\d\d\."),  # Dynatrace
    key(TOKEN, r"xkeysib-[0-9A-Za-z-]{40,}"),                                        # Brevo
    exact(TOKEN, r"sq[pau]_[0-9a-f]{40}", hint=r"\bsq[pau]_[0-9a-f]"),           # Sonar
    exact(TOKEN, r"tfp_[\w-]{40,59}"),                                           # Typeform
    key(TOKEN, r"CCIP(?:AT|RJ)_[0-9A-Za-z_]{16,}", hint=r"\bCCIP(?:AT|RJ)_"),     # CircleCI
    key(TOKEN, r"sk\.eyJ[\w-]{20,}\.[\w-]{16,}", hint=r"\bsk\.eyJ"),             # Mapbox
    key(TOKEN, r"ops_eyJ[\w-]{40,}"),                                            # 1Password
    # what is written in a form of its own
    key(JWT, r"eyJ[\w-]{8,}\.eyJ[\w-]{2,}\.[\w-]{16,}", hint=r"\beyJ[\w-]{8,}\.eyJ", check=checks.jwt),
    Format(PRIVATE, rf"(-----BEGIN (?:[A-Z0-9]+ ){{0,3}}PRIVATE KEY(?: BLOCK)?-----{_NEW_LINE}"
           rf"(?:\z|(?:[A-Z][A-Za-z-]+: [^\n\\]{{0,80}}{_NEW_LINE}){{0,4}}{_BODY}{{16,}}(?:{_NEW_LINE}{_BODY}{{16,}})*"
           rf"(?:(?:{_NEW_LINE}{_BODY}{{1,15}})?{_NEW_LINE}-----END [A-Z0-9 ]{{1,40}}-----)?))",
           "-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY"),
    exact(PRIVATE, r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{40,58}"),
    Format(PASSWORD_URL, r"""[a-z][a-z0-9+.-]{1,20}://[^\s/:@'"<>]{0,64}:([^\s/@'"]{1,128})@[\w\[$<{%-]""",
           r"""[a-z]://[^\s/:@'"<>]*:[^\s/@'"]+@""", checks.in_address, REACH),
    Format(AUTHORIZATION, r"(?i:\bbearer|authorization:\s{0,3}(?:token|apikey))\s{1,3}([\w.~+/=-]{20,})",
           r"(?i:\bbearer|authorization:\s{0,3}(?:token|apikey))\s{1,3}[\w.~+/=-]{16}", checks.random, REACH,
           is_open=True),
    Format(AUTHORIZATION, r"(?i:\bbasic)\s{1,3}([0-9A-Za-z+/]{8,}={0,2})", r"(?i:\bbasic)\s{1,3}[0-9A-Za-z+/]{8}",
           checks.basic, REACH, is_open=True),
    Format(PASSWORD, rf"(?i:{_NAMES}){_GIVEN}({_VALUE})", rf"(?i:{_NAMES}){_GIVEN}[!-~]{{6}}", checks.assigned, REACH,
           is_open=True),
    Format(PASSWORD, rf"""\?["']?\s{{0,2}}[:=]\s{{0,2}}["']?({_VALUE})""",
    r"""\?["']?\s{0,2}[:=]\s{0,2}["']?[!-~]{6}""",
           checks.foreign, REACH, is_open=True),
)
# fmt: on

# Letters with which a secret may begin: a word that begins otherwise is none, whatever follows.
BEGINNINGS: Final = frozenset(
    (
        *"AKIA ASIA ABIA ACCA sk rk M N O".split(),
        *re.findall(r"\\b\(([A-Za-z]+)", " ".join(form.pattern for form in FORMATS)),
    )
)
DISORDERLY: Final = Format(RANDOM, r"([0-9A-Za-z_+-]{24,}={0,2})", r"[0-9A-Za-z_+-]{24}", checks.disorderly)
