"""Where a command finds its settings and its data."""

from pathlib import Path
from typing import NamedTuple


class Where(NamedTuple):
    """What ``--config`` and ``--data-dir`` say; ``None`` where they say nothing."""

    config: Path | None
    data_dir: str | None = None

    @property
    def overrides(self) -> dict[str, str]:
        """The settings that the command line gives."""
        return {} if self.data_dir is None else {"server.data_dir": self.data_dir}
