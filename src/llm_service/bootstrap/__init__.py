"""Builds the whole object graph: the stores once for each process, the service once for each generation of settings."""

from llm_service.bootstrap.accounts import build_corrections
from llm_service.bootstrap.around import Surroundings
from llm_service.bootstrap.leftovers import open_leftovers
from llm_service.bootstrap.providers import build_provider, build_site
from llm_service.bootstrap.service import Service, build_service
from llm_service.bootstrap.sharing import longest_s
from llm_service.bootstrap.stores import Stores, open_stores

__all__ = [
    "Service",
    "Stores",
    "Surroundings",
    "build_corrections",
    "build_provider",
    "build_service",
    "build_site",
    "longest_s",
    "open_leftovers",
    "open_stores",
]
