"""What is done alike to documents of every kind, on every store."""

import os
from collections.abc import Callable
from contextlib import suppress

from consignee.errors import Conflict, NotFound
from consignee.store import Document, Store


async def fetch(store: Store, kind: str, account: str, id: str, *, what: str) -> Document:  # noqa: A002
    """Return the document; raises NotFound, with `what` as the customer's word for it."""
    document = await store.get(kind, account, id)
    if document is None:
        raise NotFound(f"There is no such {what}.")
    return document


async def unused_id(store: Store, kind: str, account: str, *, random: Callable[[int], bytes] = os.urandom) -> str:
    """Return 8 upper-case hexadecimal digits that are no id of the account's documents of that kind."""
    while True:
        made = random(4).hex().upper()
        if await store.get(kind, account, made) is None:
            return made


async def discard(store: Store, kind: str, account: str, id: str, *, what: str) -> None:  # noqa: A002
    """Remove the document at whatever revision it is; raises NotFound, StoreError."""
    while True:
        document = await fetch(store, kind, account, id, what=what)
        with suppress(Conflict):  # changed meanwhile: what is there now is to go just the same
            return await store.remove(kind, account, id, replaces=document.revision)
