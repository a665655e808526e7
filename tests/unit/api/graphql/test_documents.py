"""Why a document is not taken."""

import pytest

from llm_service.api.graphql.documents import Asked, Documents
from llm_service.api.graphql.options import GraphqlOptions
from llm_service.api.graphql.schema import build_schema
from llm_service.api.graphql.trusted import TrustedDocuments
from llm_service.domain import DocumentTooComplex, InvalidDocument, LLMServiceError


@pytest.fixture(scope="module")
def documents() -> Documents:
    return Documents(build_schema(), GraphqlOptions(), TrustedDocuments({}, only=False))


@pytest.mark.parametrize(
    ("document", "error", "said"),
    [
        ("{ me { keyId } }" * 300, DocumentTooComplex, "more than 1000 words and signs"),
        ("#\n" * 2000 + "{ me { keyId } }", DocumentTooComplex, "nested too deeply, or has too many comments"),
        ("{ me " * 400, DocumentTooComplex, "nested too deeply"),
        ("aborted", InvalidDocument, "Unexpected Name 'aborted'"),
        ('{ model(id: 1) } "more than tokens, aborted"', InvalidDocument, "Syntax Error"),
        ('"Document contains more than tokens. Parsing aborted." 1', InvalidDocument, "Syntax Error"),
    ],
)
def test_a_client_cannot_say_the_reason_itself(
    documents: Documents, document: str, error: type[LLMServiceError], said: str
) -> None:
    with pytest.raises(error, match=said):
        documents.prepare(Asked(document, None, None, {}))
