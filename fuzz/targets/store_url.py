"""The address of a store is taken apart, or refused in words that hold nothing of it."""

from llm_service.storage import AddressError, parse_store_url


def one(data: bytes) -> None:
    """``data``: the address, with a password in it where it may have one."""
    url = data.decode("utf-8", "replace").replace("PASSWORD", "canary-password")
    try:
        address = parse_store_url(url)
    except AddressError as refused:
        assert "canary" not in str(refused)
    else:
        assert address.endpoints
        assert "canary" not in f"{address.login.password}{address.sentinel_login.password}"
