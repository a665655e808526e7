"""What is wrong with the records' chains, as data and in words."""

from collections.abc import Mapping
from typing import Any

from llm_service.ledger import Fault


def fault_object(fault: Fault) -> dict[str, Any]:
    """A fault as data."""
    return {
        "kind": fault.kind,
        "process": fault.writer,
        "first_seq": fault.first_seq,
        "last_seq": fault.last_seq,
        "request_id": fault.request_id,
        "text": fault.text,
    }


def fault_line(fault: Mapping[str, Any]) -> str:
    """A fault in words."""
    first, last = fault["first_seq"], fault["last_seq"]
    which = f"record {first}" if first == last else f"records {first} to {last}"
    request = f" (request {fault['request_id']})" if fault["request_id"] else ""
    return f"{fault['kind'].replace('_', ' ')}: {which} of {fault['process']}{request}: {fault['text']}"
