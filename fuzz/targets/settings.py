"""Whatever stands in the configuration file: settings that can be shown, or a SettingsError with places."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_service.config import SettingsError, load_settings, rendered


def one(data: bytes) -> None:
    """``data``: the file."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "llm-service.yaml")
        file.write_bytes(data)
        try:
            loaded = load_settings(path=None, environ={"CANARY": "canary-value"}, cwd=Path(folder))
        except SettingsError as refused:
            assert str(refused)
            return
    json.dumps(rendered(loaded.settings))
