"""Documents that the operator trusts, by their ids."""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson

from llm_service.domain import InvalidDocument, InvalidValue

_ID: Final = re.compile(r"[!-~]{1,256}")
SHA256: Final = "sha256:"


class TrustedDocuments:
    """Finds a document by an id, or by the SHA-256 of its text. ``only``: no other documents are taken."""

    def __init__(self, documents: Mapping[str, str], *, only: bool) -> None:
        hashes = {digest_of(text): text for text in documents.values()}
        self._documents = {**hashes, **documents}
        self._only = only

    def text(self, query: str | None, named: str | None) -> str:
        """The document of a request, which gives its text or names one. Raises InvalidDocument and InvalidValue."""
        if named is not None:
            found = self._documents.get(named) or self._documents.get(named.removeprefix(SHA256))
            if found is None:
                raise InvalidDocument("There is no trusted document of this id.", param="documentId")
            if query is not None and query != found:
                raise InvalidValue("'query' is not the document that 'documentId' names.", param="query")
            return found
        if query is None:
            raise InvalidValue("'query' is needed: the text of a GraphQL document.", param="query")
        if self._only and digest_of(query) not in self._documents:
            raise InvalidDocument("Only the documents that the operator trusts are taken here.", param="query")
        return query


def digest_of(text: str) -> str:
    """The SHA-256 of a document's text in hexadecimal digits."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_documents(path: Path) -> Mapping[str, str]:
    """The documents by id: of a folder by the names of its ``.graphql`` files, of a file as its JSON object has them.

    Raises OSError, and ValueError for a file that is no such object.
    """
    return dict(_files(path)) if path.is_dir() else _object(path)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.glob("*.graphql")):
        yield file.stem, file.read_text(encoding="utf-8")


def _object(path: Path) -> Mapping[str, str]:
    found = orjson.loads(path.read_bytes())
    if not isinstance(found, dict) or not all(
        isinstance(text, str) and _ID.fullmatch(name) for name, text in found.items()
    ):
        raise ValueError(f"{path} is no JSON object of documents by id")
    return found
