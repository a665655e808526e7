"""A loader whose file, environment and working directory are the test's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm_service.config import Loaded, Settings, SettingsError, load_settings


@dataclass(frozen=True)
class Configured:
    """Loads settings in a folder of the test's own."""

    folder: Path

    def load(self, text: str | None = None, environ: Mapping[str, str] | None = None, **overrides: str) -> Loaded:
        """With `text` as ./llm-service.yaml; `server__port="1"` is what the command line gives for `server.port`."""
        if text is not None:
            (self.folder / "llm-service.yaml").write_text(text, encoding="utf-8")
        given = {name.replace("__", "."): value for name, value in overrides.items()}
        return load_settings(path=None, environ=environ or {}, cwd=self.folder, overrides=given)

    def settings(self, text: str | None = None, environ: Mapping[str, str] | None = None, **overrides: str) -> Settings:
        return self.load(text, environ, **overrides).settings

    def mistakes(
        self, text: str | None = None, environ: Mapping[str, str] | None = None, **overrides: str
    ) -> list[str]:
        """All mistakes as they are printed; there must be one."""
        with pytest.raises(SettingsError) as caught:
            self.load(text, environ, **overrides)
        return [str(mistake) for mistake in caught.value.mistakes]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    return Configured(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a further file into the test's folder."""

    def write_file(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return write_file
