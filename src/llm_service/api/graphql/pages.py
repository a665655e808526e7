"""Pages of lists, as the Relay connection specification has them (https://relay.dev/graphql/connections.htm)."""

from collections.abc import Sequence
from typing import Final, TypeVar

import strawberry

from llm_service.domain import InvalidValue

PAGE: Final = 100
MOST_ON_A_PAGE: Final = 1000
Item = TypeVar("Item")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool = strawberry.field(description="Whether the page was asked for with `after`.")
    start_cursor: str | None
    end_cursor: str | None = strawberry.field(description="What `after` has to be for the next page.")

    @classmethod
    def of(cls, cursors: Sequence[str], *, after: str | None, more: bool) -> "PageInfo":
        """Of a page whose items stand at these cursors."""
        return cls(
            has_next_page=more,
            has_previous_page=after is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )


def count_of(first: int | None) -> int:
    """How many items a page is to have. Raises InvalidValue."""
    if first is None:
        return PAGE
    if not 1 <= first <= MOST_ON_A_PAGE:
        raise InvalidValue(f"'first' must be from 1 to {MOST_ON_A_PAGE}.", param="first")
    return first
