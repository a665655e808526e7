"""What libraries say through the standard library's logging, in the form of our own log and on its stream."""

import logging
from asyncio import CancelledError

from llm_service.observability.logging import Log


class LibraryLog(logging.Handler):
    """Hands warnings and errors of libraries (the HTTP server, asyncio) to the log."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line for what was said, under the name of who said it."""
        say = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        raised = record.exc_info[0] if record.exc_info else None
        wanted = raised is not None and raised is not CancelledError  # somebody asked for that one
        failure = {"exc_info": record.exc_info} if wanted else {}
        say("library", library=record.name, message=_message(record).strip(), **failure)


def _message(record: logging.LogRecord) -> str:
    """What was said; of a call that is wrong itself, as it stands: whoever logs must not fail by it."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a library's mistake may raise anything, and is told with its words
        return f"{record.msg} {record.args}"
