"""Characters that break careless code."""

from __future__ import annotations

UNICODE = "Zoë 👩‍👩‍👧‍👦 你好，世界 שלום مرحبا é 🇮🇸 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﬁ. "
SEPARATORS = "one\u0085two\u2028three\u2029four. "
