"""Lists, page after page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, TypeVar

LARGEST_PAGE: Final = 100

One = TypeVar("One")


async def through(turn: Callable[[int], Awaitable[tuple[Iterable[One], int]]]) -> AsyncIterator[One]:
    """Yield what is on the pages from 1 on; `turn` returns what is on one, and how many there are. An empty one is the last."""
    number = pages = 1
    while number <= pages:
        found, pages = await turn(number)
        every = [*found]
        for one in every:
            yield one
        number = number + 1 if every else pages + 1
