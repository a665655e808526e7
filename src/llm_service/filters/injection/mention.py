"""Whether a sentence is an attempt, or only spoken of."""

import re
from typing import Final

from llm_service.filters.text import Text

_BEFORE: Final = 160
_AFTER: Final = 60
_ABOUT: Final = re.compile(
    Text(
        r"attack|inject|jailbreak|adversari|malicious|exploit|phrase|pattern|example|e\.g\.|such as|detect|classif"
        r"|block|prevent|defen[cds]|mitigat|vulnerab|threat|owasp|red.?team|paper|dataset|tutorial|article"
        r"|атак|инъекц|пример|фраз|angriff|beispiel|satz |formulierung|attaque|exemple|phrase|ataque|ejemplo|frase"
        r"|research|known as|attacco|esempio|saldırı|örnek|przykład|攻击|例如|短语|注入|攻撃|例えば|フレーズ|공격|예를"
    ).folded
)
_QUOTED: Final = re.compile(r"""(?:(?:^|[\s(\[,;:>*\-])["`'](?!\S{0,20}["`])|[“„«‘「『‹])[^"“”»`」』›\n]{0,110}$""")
_TOLD: Final = re.compile(
    r"(?:\b(?:to|would|could|might|may|can|that|which|who|tries|attempts?|like|such as|e\.g\.|says?|saying|phrases?"
    r"|means|called|mean|of|says:|example:|examples:)|[-*•]|\d\.)\W{0,3}$"
)


def only_mentioned(folded: str, begin: int, end: int) -> bool:
    """Whether what stands there is quoted, or told of others, in a text about such sentences.

    Looks no further than a sentence or two around, so that the time is bounded and far ends of a text do not excuse
    each other; a text that quotes and explains what it wants done passes, which is the price.
    """
    before = folded[max(0, begin - _BEFORE) : begin].rsplit("\n\n", 1)[-1]
    around = before + folded[end : end + _AFTER].split("\n\n", 1)[0]
    return bool(_ABOUT.search(around)) and bool(_QUOTED.search(before) or _TOLD.search(before))
