"""Builds what verifies the tokens of other issuers; without such issuers nothing of it is imported."""

import ssl
from collections.abc import Sequence
from typing import Final

from llm_service import __version__
from llm_service.bootstrap.ground import Ground
from llm_service.domain import fact
from llm_service.runtime import OnFailure
from llm_service.services import FreshKeys, Issuer, IssuerOptions, KeyAddress, KeyFile, Tokens, load_reader
from llm_service.transport import HttpTransport

CONNECTIONS: Final = 1
USER_AGENT: Final = f"llm-service/{__version__}"


@fact
class TokenParts:
    """``transports``: the connections to the issuers."""

    tokens: Tokens
    transports: Sequence[HttpTransport]

    async def aclose(self) -> None:
        """Close the connections."""
        for transport in self.transports:
            await transport.aclose()


def build_tokens(ground: Ground, *, on_failure: OnFailure) -> TokenParts | None:
    """``None`` where tokens of nobody are taken. Raises ImportError without the extra ``jwt``."""
    if not ground.settings.auth.jwt:
        return None
    read, transports = load_reader(), list[HttpTransport]()

    def source_of(options: IssuerOptions) -> KeyAddress | KeyFile:
        if options.jwks_file is not None:
            return KeyFile(options.jwks_file)
        tls = None if options.ca_file is None else ssl.create_default_context(cafile=str(options.ca_file))
        transports.append(HttpTransport(max_connections=CONNECTIONS, on_failure=on_failure, tls=tls))
        return KeyAddress(transports[-1], issuer=options.issuer, jwks_url=options.jwks_url, user_agent=USER_AGENT)

    def issuer_of(options: IssuerOptions) -> Issuer:
        keys = FreshKeys(
            source_of(options),
            name=options.name,
            place=f"{options.jwks_file or options.jwks_url or options.issuer} {options.ca_file}",
            max_stale_s=options.max_stale_s,
            read=read,
            shelf=ground.stores.issuer_keys,
            clock=ground.clock,
            tasks=ground.tasks,
            log=ground.log,
        )
        return Issuer(options=options, keys=keys)

    issuers = [issuer_of(options) for options in ground.settings.auth.jwt]
    return TokenParts(tokens=Tokens(issuers, time=ground.clock.time), transports=transports)
