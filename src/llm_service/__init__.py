"""A self-hosted gateway for large language models."""

TYPE_CHECKING = False  # as typing has it, which would take longer to import than all that is here
if TYPE_CHECKING:
    from llm_service.embedding import Application, CannotStart, NotRunning, create_app

__version__ = "0.1.0"
__all__ = ["Application", "CannotStart", "NotRunning", "__version__", "create_app"]


def __getattr__(name: str) -> object:
    """What is offered here is imported when it is asked for (PEP 562): every module of ours imports this one first."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llm_service import embedding

    return getattr(embedding, name)
