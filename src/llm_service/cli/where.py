"""Where a command finds its settings and its data."""

from pathlib import Path
from typing import NamedTuple


class Where(NamedTuple):
    """What ``--config``, ``--data-dir`` and ``--sandbox`` say; ``None`` where they say nothing."""

    config: Path | None
    data_dir: str | None = None
    sandbox: str | None = None

    @property
    def overrides(self) -> dict[str, str]:
        """The settings that the command line gives."""
        given = {"server.data_dir": self.data_dir, "sandbox": self.sandbox}
        return {path: text for path, text in given.items() if text is not None}
