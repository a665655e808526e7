"""The executor of operations: Strawberry's, but free as soon as its operation has ended."""

from types import MethodType
from typing import Any
from weakref import proxy

from graphql import GraphQLResolveInfoHelpers
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext


class Executor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's keeps two of its own methods, bound (3.3.2: ``Executor.async_helpers``): with all of the operation
    it would wait for the garbage collector. Here they are bound to it weakly; it lives while anything resolves."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        weakly = proxy(self)
        self.async_helpers = GraphQLResolveInfoHelpers(
            gather=MethodType(type(self).gather_async_work, weakly),
            track=MethodType(type(self).track_async_work, weakly),
        )
