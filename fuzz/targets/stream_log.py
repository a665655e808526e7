"""What other processes wrote of a generation is read, or refused with ValueError."""

from llm_service.streams.codec import end_bytes, end_of, event_bytes, event_of, head_bytes, head_of


def one(data: bytes) -> None:
    """``data``: an event, a head, or an end."""
    try:
        event = event_of(data, 1)
    except ValueError:
        pass
    else:
        assert event_of(event_bytes(event), 1).kind == event.kind
    try:
        head = head_of(data)
    except ValueError:
        pass
    else:
        assert head_of(head_bytes(head)) == head
    try:
        outcome, nano_usd, source = end_of(data)
    except ValueError:
        return
    assert end_of(end_bytes(outcome, nano_usd=nano_usd, cost_source=source))[1:] == (nano_usd, source)
