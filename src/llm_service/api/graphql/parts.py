"""What the GraphQL door is built from. Nothing here imports GraphQL's libraries."""

from llm_service.api.acts import Acts
from llm_service.api.calls import Calls
from llm_service.api.graphql.options import GraphqlOptions
from llm_service.api.http_request import Scope, at_admin_port
from llm_service.api.options import ServerOptions
from llm_service.api.resuming import Resuming
from llm_service.domain import fact
from llm_service.observability import Log
from llm_service.runtime import IdSource
from llm_service.services import (
    AlertAdmin,
    Audit,
    Authenticator,
    CacheAdmin,
    Events,
    Explain,
    Health,
    Keys,
    LimitStates,
    PricedModels,
    ProviderAdmin,
    Usage,
)


@fact
class GraphqlParts:
    """The services that the fields are resolved by, and what the transports need."""

    options: GraphqlOptions
    server: ServerOptions
    authenticator: Authenticator
    calls: Calls
    explain: Explain
    resuming: Resuming
    models: PricedModels
    providers: ProviderAdmin
    health: Health
    usage: Usage
    keys: Keys
    limits: LimitStates
    cache: CacheAdmin
    events: Events
    alerts: AlertAdmin
    audit: Audit
    acts: Acts
    ids: IdSource
    log: Log
    fixed_headers: tuple[tuple[bytes, bytes], ...] = ()

    def for_operators(self, scope: Scope) -> bool:
        """Whether what is for operators may be asked for by this request, or WebSocket."""
        return self.server.admin_port is None or at_admin_port(scope)
