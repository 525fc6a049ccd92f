"""What belongs to nothing any more: found by ids alone, so that looking for it is cheap."""

from collections.abc import Sequence
from contextlib import suppress

from consignee.collections import KIND as COLLECTIONS
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.errors import Conflict
from consignee.store import Document, Store

Place = tuple[str, str]
"""An account and an id."""


async def without_collection(store: Store, kind: str) -> Sequence[Place]:
    """Return the documents of a kind that are named after collections that are gone."""
    found: list[Place] = []
    for account in await store.accounts(kind):
        ids = await store.ids(kind, account)  # first: what comes later may be of a collection that comes later
        kept = set(await store.ids(COLLECTIONS, account))
        found += [(account, one) for one in ids if one.partition(".")[0] not in kept]
    return found


async def without_result_set(store: Store, kind: str) -> Sequence[Place]:
    """Return the result sets that are gone, though documents of a kind are still named after them."""
    found: dict[Place, None] = {}
    for account in await store.accounts(kind):
        named = [".".join(one.split(".")[:2]) for one in await store.ids(kind, account)]
        kept = set(await store.ids(RESULT_SETS, account))
        found.update({(account, one): None for one in named if one not in kept})
    return list(found)


async def remove(store: Store, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
    """Remove a document at whatever revision; return it as it was, None if there was none. Raises StoreError."""
    last = None
    while (document := await store.get(kind, account, id)) is not None:
        last = document
        with suppress(Conflict):
            await store.remove(kind, account, id, replaces=document.revision)
    return last
