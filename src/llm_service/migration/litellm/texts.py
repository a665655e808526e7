"""Texts of the file as the result has them: references in its own form, and variables in place of secrets."""

import re
from typing import Final

from llm_service.migration.draft import Draft
from llm_service.migration.litellm.values import variable_of
from llm_service.migration.source import Found

_NO_KEYS: Final = frozenset(
    """none null empty dummy fake fake-key na n/a no-key not-needed not-used anything placeholder token-abc123
    sk-no-key-required sk-dummy sk-fake any xxx""".split()
)
_SECRET: Final = re.compile(r"auth|key|token|secret|password|cookie|credential|^code$|^sig", re.IGNORECASE)


def written(draft: Draft, found: Found) -> str:
    """A text that is no secret."""
    text = found.text() or ""
    name = variable_of(text)
    return draft.variables.refer(name) if name else text.replace("${", "$${")


def concealed(draft: Draft, found: Found, *, name: str) -> str:
    """A secret: the variable that the file names, or one called ``name`` for what stands there in clear."""
    text = found.text() or ""
    variable = variable_of(text)
    return draft.variables.refer(variable) if variable else draft.variables.secret(found, text, name=name)


def stands_in_clear(found: Found) -> bool:
    """Whether a value is written out, in place of a reference to a variable."""
    return variable_of(found.text() or "") is None


def is_no_key(text: str) -> bool:
    """Whether a key is only there because a client insists on one."""
    return text.strip().lower() in _NO_KEYS


def may_be_secret(header: str) -> bool:
    """Whether the value of such a header must not be shown."""
    return _SECRET.search(header) is not None


def told(found: Found, reference: str) -> str:
    """What to know of a secret: whether its variable has to be set first."""
    if not stands_in_clear(found):
        return ""
    return f"It stood in the file and is not copied: set {reference[2:-1]} to it."
