"""The last good copy of each provider's catalogue on disk, for a start while the provider does not answer."""

import os
import tempfile
from pathlib import Path
from typing import Any, Final

import orjson

from llm_service.domain import fact_in_order
from llm_service.observability import Log

FORM: Final = 1
"""Of the files; another one is left alone."""
MOST_BYTES: Final = 64 * 1024 * 1024
_PRIVATE_DIR: Final = 0o700


@fact_in_order
class KeptCatalogue:
    """A catalogue as it came, and when that was (Unix seconds)."""

    body: bytes
    asked_at: float


class CatalogueShelf:
    """One file for each provider in ``folder``, readable by this user alone, always replaced whole. All calls block.

    ``addresses``: where the providers are; the copy of another address is no copy. What cannot be read is told in the
    log, and is as if it were not there.
    """

    def __init__(self, folder: Path, addresses: dict[str, str], log: Log) -> None:
        self._folder = folder
        self._addresses = addresses
        self._log = log

    def read(self, provider: str) -> KeptCatalogue | None:
        """The copy, if there is one that is of use."""
        path = self._path(provider)
        try:
            with path.open("rb") as file:
                text = file.read(MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._tell(provider, error.strerror or str(error))
            return None
        return self._understood(provider, text)

    def write(self, provider: str, kept: KeptCatalogue) -> None:
        """Keep a copy. A disk that does not take it is told in the log."""
        try:
            text = orjson.dumps(
                {
                    "form": FORM,
                    "base_url": self._addresses[provider],
                    "asked_at": kept.asked_at,
                    "catalogue": orjson.Fragment(kept.body.strip()),
                }
            )
            self._replace(self._path(provider), text)
        except OSError as error:
            self._log.warning("catalogue not kept", provider=provider, cause=error.strerror or str(error))

    def _understood(self, provider: str, text: bytes) -> KeptCatalogue | None:
        try:
            told: Any = orjson.loads(text)
            form, address, asked_at = told["form"], told["base_url"], float(told["asked_at"])
            body = orjson.dumps(told["catalogue"])
        except (orjson.JSONDecodeError, orjson.JSONEncodeError, KeyError, TypeError, ValueError):
            self._tell(provider, "it makes no sense")
            return None
        if form != FORM:
            self._tell(provider, f"it has the form {form!r:.20}, and this version knows {FORM}")
            return None
        return KeptCatalogue(body, asked_at) if address == self._addresses[provider] else None

    def _replace(self, path: Path, text: bytes) -> None:
        self._folder.mkdir(_PRIVATE_DIR, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=f".{path.name}.", delete=False) as file:  # 0600
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise

    def _path(self, provider: str) -> Path:
        return self._folder / f"{provider}.json"

    def _tell(self, provider: str, cause: str) -> None:
        self._log.warning("kept catalogue left alone", provider=provider, cause=cause)
