"""Copies documents, and compares: what an interrupted copy left is kept as far as it is right."""

from collections import Counter
from collections.abc import Set
from contextlib import aclosing
from typing import Final

from consignee.copying.ends import Place, Source, Target
from consignee.errors import StoreError
from consignee.store import Document

AT_ONCE: Final = 500
"""How many documents are written together."""


async def copy_documents(source: Source, target: Target, *, besides: Set[str] = frozenset()) -> Counter[str]:
    """Bring all documents of the source to the target, and nothing else; return how many had to be written, by kind.

    The kinds in `besides` are left alone.
    """
    written = Counter[str]()
    places, found = await _places(source, besides), {*await _places(target, besides)}
    for kind, account in found.difference(places):
        await target.cut(kind, account, left=0)
    for place in places:
        written[place[0]] += await _copy(source, target, place, resumed=place in found)
    return written


async def _copy(source: Source, target: Target, place: Place, *, resumed: bool) -> int:
    """Return how many documents of that place had to be written."""
    kind, account = place
    same = 0
    if resumed:
        same, _ = await _alike(source, target, place)
        await target.cut(kind, account, left=same)
    number, group = 0, list[Document]()
    async for document in source.documents(kind, account):
        if (number := number + 1) > same:
            group.append(document)
        if len(group) == AT_ONCE:
            await target.append(kind, group)
            group = []
    await target.append(kind, group)
    return number - same


async def compare(source: Source, copied: Source, *, besides: Set[str] = frozenset()) -> Counter[str]:
    """Return how many documents there are of each kind; raises StoreError unless both have the same ones in the same order."""
    counted = Counter[str]()
    if (places := await _places(source, besides)) != await _places(copied, besides):
        raise StoreError(f"not all that is in {source.name} is in {copied.name}, or more: repeat the copy")
    for place in places:
        same, all_ = await _alike(source, copied, place)
        if not all_:
            raise StoreError(
                f"{copied.name} is not as {source.name}: of one account's {place[0]} only the first {same} "
                "are the same: repeat the copy"
            )
        counted[place[0]] += same
    return counted


async def _places(source: Source, besides: Set[str]) -> list[Place]:
    return [place for place in await source.places() if place[0] not in besides]


async def _alike(source: Source, other: Source, place: Place) -> tuple[int, bool]:
    """Return how many documents are the same, from the first on, and whether these are all that either has."""
    same = 0
    async with aclosing(source.documents(*place)) as documents, aclosing(other.documents(*place)) as others:
        async for document in documents:
            if not _is_same(document, await anext(others, None)):
                return same, False
            same += 1
        return same, await anext(others, None) is None


def _is_same(one: Document, other: Document | None) -> bool:
    return other is not None and (one.id, one.revision, one.data) == (other.id, other.revision, other.data)
