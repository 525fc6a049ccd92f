"""How a list of destinations is searched, filtered, sorted and cut into pages."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from consignee.errors import InvalidRequest

PAGE_SIZE: Final = 10
LARGEST_PAGE: Final = 100


class Listed(Protocol):
    """What a list needs to know of a destination."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def created_at(self) -> str: ...


_One = TypeVar("_One", bound=Listed)

SORTS: Final[dict[str, Callable[[Listed], Any]]] = {
    "name": lambda one: (one.name.casefold(), one.name),
    "type": lambda one: one.type,
    "created_at": lambda one: one.created_at,
}
DIRECTIONS: Final = ("ascending", "descending")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What to list. Without `sort_by`, in the order of creation."""

    search_term: str = ""
    enabled: bool | None = None
    type: str | None = None
    sort_by: str | None = None
    sort_direction: str = "ascending"
    page: int = 1
    page_size: int = PAGE_SIZE


@dataclass(frozen=True)
class Page(Generic[_One]):
    """One page of destinations, and of how many in all it is a part."""

    destinations: Sequence[_One]
    number: int
    size: int
    total: int

    def to_json(self) -> dict[str, int]:
        """Return the numbers of the page as they are answered."""
        return {
            "current_page": self.number,
            "page_size": self.size,
            "count_this_page": len(self.destinations),
            "total_count": self.total,
            "total_pages": -(-self.total // self.size),
        }


def paginate(destinations: Iterable[_One], listing: Listing) -> Page[_One]:
    """Return the page that was asked for; one past the end is empty. Raises InvalidRequest for an unknown order."""
    if listing.sort_by not in (None, *SORTS):
        raise InvalidRequest({"sort_by": ["must be one of " + ", ".join(SORTS)]})
    term = listing.search_term.casefold()
    chosen = [one for one in destinations if _wanted(one, listing, term)]
    if listing.sort_by:
        chosen.sort(key=SORTS[listing.sort_by])
    if listing.sort_direction == "descending":
        chosen.reverse()
    begin = (listing.page - 1) * listing.page_size
    return Page(chosen[begin : begin + listing.page_size], listing.page, listing.page_size, len(chosen))


def _wanted(one: Listed, listing: Listing, term: str) -> bool:
    return (
        (not term or term in one.name.casefold())
        and listing.enabled in (None, one.enabled)
        and listing.type in (None, one.type)
    )
