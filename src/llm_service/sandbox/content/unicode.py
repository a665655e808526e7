"""Characters that break careless code."""

from __future__ import annotations

from typing import Final

UNICODE: Final = "Zoë 👩‍👩‍👧‍👦 你好，世界 שלום مرحبا é 🇮🇸 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﬁ. "  # noqa: RUF001  # ambiguous on purpose
SEPARATORS: Final = "one\u0085two\u2028three\u2029four. "
