"""The OpenAPI 3.1 description of the REST surface, written as tables and held to the code by tests."""

from llm_service.api.rest.openapi.document import openapi_document

__all__ = ["openapi_document"]
