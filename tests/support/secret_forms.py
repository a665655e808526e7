"""Invented secrets of every known form, put together when they are needed: no file holds one."""

import json
import random
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits
from zlib import crc32

_BASE62 = digits + ascii_uppercase + ascii_lowercase
_ALPHABETS = {
    "h": "0123456789abcdef",
    "n": ascii_letters + digits,
    "u": ascii_letters + digits + "-_",
    "p": ascii_letters + digits + "+/",
    "l": ascii_letters,
    "s": ascii_lowercase + digits,
    "U": ascii_uppercase + digits,
    "b": ascii_lowercase + "234567",
    "B": ascii_uppercase + "234567",
    "d": digits,
    "z": "023456789ACDEFGHJKLMNPQRSTUVWXYZ",
}
_PART = re.compile(r"%([hnuplsUbBdz])(\d+)")
_FIELD = re.compile(r"\{\{(\w+)(?::(\w+))?\}\}")
_DISGUISES: dict[str, Callable[[str], str]] = {
    "zero_width": "\u200b".join,
    "joiner": "\u2060".join,
    "soft_hyphen": lambda text: text[:5] + "\u00ad" + text[5:],
    "full_width": lambda text: "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text),
    "tags": lambda text: text[:9] + "\U000e0041" + text[9:],
    "bidi": lambda text: "\u202d" + text[:7] + "\u200e" + text[7:],
}

# Each with its label: text, and %<alphabet><length> for a random part.
FORMS: dict[str, tuple[str, str]] = {
    "openrouter": ("provider_key", "sk-or-v1-%h64"),
    "anthropic": ("provider_key", "sk-ant-api03-%u93AA"),
    "anthropic_oauth": ("provider_key", "sk-ant-oat01-%u93AA"),
    "openai_project": ("provider_key", "sk-proj-%u74T3BlbkFJ%u74"),
    "openai_service": ("provider_key", "sk-svcacct-%u74T3BlbkFJ%u74"),
    "openai_admin": ("provider_key", "sk-admin-%u74T3BlbkFJ%u74"),
    "openai": ("provider_key", "sk-%n20T3BlbkFJ%n20"),
    "deepseek": ("provider_key", "sk-%h32"),
    "own": ("provider_key", "llms_%b12_%b52"),
    "hugging_face": ("provider_key", "hf_%l34"),
    "hugging_face_org": ("provider_key", "api_org_%l34"),
    "replicate": ("provider_key", "r8_%n37"),
    "groq": ("provider_key", "gsk_%n52"),
    "xai": ("provider_key", "xai-%n80"),
    "perplexity": ("provider_key", "pplx-%n48"),
    "fireworks": ("provider_key", "fw_%n24"),
    "nvidia": ("provider_key", "nvapi-%u64"),
    "cerebras": ("provider_key", "csk-%s48"),
    "langsmith": ("provider_key", "lsv2_pt_%h32_%h10"),
    "tavily": ("provider_key", "tvly-dev-%n32"),
    "pinecone": ("provider_key", "pcsk_%n6_%n63"),
    "jina": ("provider_key", "jina_%u60"),
    "aws_id": ("cloud_key", "AKIA%B16"),
    "aws_session_id": ("cloud_key", "ASIA%B16"),
    "google": ("cloud_key", "AIza%u35"),
    "google_client": ("cloud_key", "GOCSPX-%u28"),
    "google_access": ("cloud_key", "ya29.%u120"),
    "azure_app": ("cloud_key", "%n3%d1Q~%n34"),
    "alibaba": ("cloud_key", "LTAI%n20"),
    "digitalocean": ("cloud_key", "dop_v1_%h64"),
    "cloudflare": ("cloud_key", "v1.0-%h24-%h146"),
    "vault": ("cloud_key", "hvs.%u90"),
    "databricks": ("cloud_key", "dapi%h32"),
    "pulumi": ("cloud_key", "pul-%h40"),
    "doppler": ("cloud_key", "dp.pt.%n43"),
    "planetscale": ("cloud_key", "pscale_tkn_%u43"),
    "supabase": ("cloud_key", "sbp_%h40"),
    "supabase_secret": ("cloud_key", "sb_secret_%u31"),
    "tailscale": ("cloud_key", "tskey-auth-%n17-%n32"),
    "openshift": ("cloud_key", "sha256~%u43"),
    "heroku": ("cloud_key", "HRKU-%u60"),
    "github_fine": ("token", "github_pat_%n22_%n59"),
    "gitlab": ("token", "glpat-%n20"),
    "gitlab_runner": ("token", "glrt-%n20"),
    "slack_bot": ("token", "xoxb-%d12-%d13-%n24"),
    "slack_app": ("token", "xapp-1-A%U10-%d13-%h64"),
    "stripe": ("token", "sk_live_%n24"),
    "stripe_test": ("token", "sk_test_%n99"),
    "stripe_restricted": ("token", "rk_live_%n99"),
    "stripe_webhook": ("token", "whsec_%n32"),
    "twilio": ("token", "SK%h32"),
    "sendgrid": ("token", "SG.%u22.%u43"),
    "mailgun": ("token", "key-%h32"),
    "mailchimp": ("token", "%h32-us14"),
    "npm": ("token", "npm_%n36"),
    "pypi": ("token", "pypi-AgEIcHlwaS5vcmc%u140"),
    "rubygems": ("token", "rubygems_%h48"),
    "crates": ("token", "cio%n32"),
    "docker": ("token", "dckr_pat_%u27"),
    "telegram": ("token", "%d10:AA%u33"),
    "discord": ("token", "M%u25.%u6.%u38"),
    "shopify": ("token", "shpat_%h32"),
    "square": ("token", "sq0csp-%u43"),
    "postman": ("token", "PMAK-%h24-%h34"),
    "notion": ("token", "ntn_%n43"),
    "linear": ("token", "lin_api_%n40"),
    "atlassian": ("token", "ATATT3xFfGF0%u150=%U8"),
    "airtable": ("token", "pat%n14.%h64"),
    "figma": ("token", "figd_%u40"),
    "new_relic": ("token", "NRAK-%U27"),
    "grafana": ("token", "glsa_%n32_%h8"),
    "sentry": ("token", "sntryu_%h64"),
    "dynatrace": ("token", "dt0c01.%U24.%U64"),
    "brevo": ("token", "xkeysib-%h64-%n16"),
    "sonar": ("token", "sqp_%h40"),
    "typeform": ("token", "tfp_%u59"),
    "circleci": ("token", "CCIPAT_%n22_%h40"),
    "mapbox": ("token", "sk.eyJ1Ijoi%n50.%u22"),
    "onepassword": ("token", "ops_eyJ%u200"),
    "age": ("private_key", "AGE-SECRET-KEY-1%z58"),
    # these stand in a text that says what they are
    "aws_secret": ("cloud_key", "%p38A7"),
    "azure_storage": ("cloud_key", "%p86=="),
    "hex40": ("cloud_key", "%h40"),
    "hex32": ("token", "%h32"),
    "atlas": ("cloud_key", ".atlasv1.%u67"),
    "slack_hook": ("token", "T%U9/B%U9/%n24"),
    "discord_hook": ("token", "%d19/%u68"),
    "bearer": ("authorization", "%n20-7aB2%n16"),
    "password": ("password", "Q%n8#7x"),
    "password_url": ("password_url", "q%n10~7"),
    "api_secret": ("password", "%n32x7Y2"),
}


def _github(dice: random.Random) -> str:
    body, rest, checksum = "".join(dice.choices(_BASE62, k=30)), 0, ""
    rest = crc32(body.encode())
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        checksum = _BASE62[digit] + checksum
    return f"gh{dice.choice('pousr')}_{body}{checksum}"


def _jwt(dice: random.Random) -> str:
    header = {"alg": dice.choice(["HS256", "RS256", "ES256"]), "typ": "JWT"}
    claims = {"sub": str(dice.getrandbits(40)), "exp": dice.getrandbits(31)}
    parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, dice.randbytes(32)))


def _basic(dice: random.Random) -> str:
    return b64encode(f"service:{''.join(dice.choices(ascii_letters, k=12))}".encode()).decode()


def _armoured(kind: str, end_of_line: str = "\n") -> Callable[[random.Random], str]:
    def made(dice: random.Random) -> str:
        text = b64encode(dice.randbytes(400)).decode()
        lines = [text[begin : begin + 64] for begin in range(0, len(text), 64)]
        return end_of_line.join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])

    return made


MADE: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "github": ("token", _github),
    "jwt": ("jwt", _jwt),
    "basic": ("authorization", _basic),
    "pem": ("private_key", _armoured("PRIVATE KEY")),
    "pem_rsa": ("private_key", _armoured("RSA PRIVATE KEY")),
    "pem_ec": ("private_key", _armoured("EC PRIVATE KEY")),
    "pem_openssh": ("private_key", _armoured("OPENSSH PRIVATE KEY")),
    "pem_encrypted": ("private_key", _armoured("ENCRYPTED PRIVATE KEY")),
    "pem_json": ("private_key", _armoured("PRIVATE KEY", "\\n")),
}
# Forms that are told by themselves, wherever they stand.
ALONE = tuple(name for name in (*FORMS, *MADE) if name not in {
    "aws_secret", "azure_storage", "hex40", "hex32", "atlas", "slack_hook", "discord_hook", "bearer", "password",
    "password_url", "api_secret", "basic",
})  # fmt: skip


def label_of(name: str) -> str:
    return (FORMS.get(name) or MADE[name])[0]


def secret(name: str, dice: random.Random) -> str:
    if name in MADE:
        return MADE[name][1](dice)
    return _PART.sub(lambda part: "".join(dice.choices(_ALPHABETS[part[1]], k=int(part[2]))), FORMS[name][1])


def filled(template: str, dice: random.Random) -> tuple[str, list[tuple[int, int, str]]]:
    """The text with its secrets in the place of ``{{form}}`` or ``{{form:disguise}}``, and where they stand.

    ``{{+}}`` is nothing: it parts what scanners of repositories would take for a secret.
    """
    template, text, end, places = template.replace("{{+}}", ""), "", 0, []
    for field in _FIELD.finditer(template):
        text += template[end : field.start()]
        made, end = secret(field[1], dice), field.end()
        made = _DISGUISES[field[2]](made) if field[2] else made
        places.append((len(text), len(text) + len(made), label_of(field[1])))
        text += made
    return text + template[end:], places


def filled_corpus(file: Path) -> list[dict[str, object]]:
    """A corpus of filters whose texts have ``{{form}}`` for secrets: each time the same ones are filled in."""
    dice = random.Random(8)
    return [row | {"text": filled(str(row["text"]), dice)[0]} for row in json.loads(file.read_text("utf-8"))]
