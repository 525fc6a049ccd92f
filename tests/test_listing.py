"""Searching, filtering, sorting and cutting into pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.destination import Destination
from consignee.errors import InvalidRequest
from consignee.listing import DIRECTIONS, SORTS, Listing, paginate


def destination(name: str, *, type: str = "s3", enabled: bool = True, created_at: str = "") -> Destination:  # noqa: A002
    """Return a destination of that name."""
    return Destination(
        type=type,
        name=name,
        enabled=enabled,
        settings={},
        secrets={},
        account="acme",
        id=name,
        revision=1,
        created_at=created_at,
        updated_at=created_at,
    )


FOUR = [
    destination("beta", type="s3compatible", created_at="2026-01-01"),
    destination("Alpha", enabled=False, created_at="2026-01-02"),
    destination("straße", created_at="2026-01-03"),
    destination("alpha", created_at="2026-01-04"),
]


def names(listing: Listing, destinations: list[Destination] = FOUR) -> list[str]:
    """Return the names on the page."""
    return [one.name for one in paginate(destinations, listing).destinations]


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        (Listing(), ["beta", "Alpha", "straße", "alpha"]),
        (Listing(sort_direction="descending"), ["alpha", "straße", "Alpha", "beta"]),
        (Listing(sort_by="name"), ["Alpha", "alpha", "beta", "straße"]),
        (Listing(sort_by="name", sort_direction="descending"), ["straße", "beta", "alpha", "Alpha"]),
        (Listing(sort_by="type"), ["Alpha", "straße", "alpha", "beta"]),
        (Listing(sort_by="created_at", sort_direction="descending"), ["alpha", "straße", "Alpha", "beta"]),
        (Listing(search_term="ALPH"), ["Alpha", "alpha"]),
        (Listing(search_term="STRASSE"), ["straße"]),
        (Listing(search_term="l", enabled=True), ["alpha"]),
        (Listing(enabled=False), ["Alpha"]),
        (Listing(type="s3compatible"), ["beta"]),
        (Listing(type="s3", search_term="a", sort_by="name", page=2, page_size=2), ["straße"]),
        (Listing(search_term="nothing"), []),
        (Listing(search_term=".*"), []),
        (Listing(page=2), []),
        (Listing(page=10**30), []),
    ],
)
def test_what_is_listed(listing: Listing, expected: list[str]) -> None:
    assert names(listing) == expected


def test_a_page_counts_what_was_found() -> None:
    page = paginate(FOUR, Listing(search_term="a", page=2, page_size=3))
    assert page.to_json() == {
        "current_page": 2,
        "page_size": 3,
        "count_this_page": 1,
        "total_count": 4,
        "total_pages": 2,
    }
    assert paginate([], Listing()).to_json()["total_pages"] == 0


@given(
    count=st.integers(0, 40),
    size=st.integers(1, 12),
    sort_by=st.sampled_from([None, *SORTS]),
    direction=st.sampled_from(DIRECTIONS),
)
def test_the_pages_together_are_the_whole(count: int, size: int, sort_by: str | None, direction: str) -> None:
    """Each is full but the last, and none is left out or comes twice."""
    all_of_them = [destination(f"{number % 3}-{number}", type=f"t{number % 2}") for number in range(count)]
    pages = -(-count // size)
    cut = [
        names(Listing(sort_by=sort_by, sort_direction=direction, page=page, page_size=size), all_of_them)
        for page in range(1, pages + 2)
    ]
    assert [len(page) for page in cut[:-2]] == [size] * (pages - 1 if pages else 0)
    assert cut[-1] == []
    whole = names(Listing(sort_by=sort_by, sort_direction=direction, page_size=100), all_of_them)
    assert [name for page in cut for name in page] == whole
    assert sorted(whole) == sorted(one.name for one in all_of_them)


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        paginate(FOUR, Listing(sort_by="secret"))
