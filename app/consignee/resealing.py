"""Brings all that is sealed to the key that seals now, document by document, beside all else that goes on in the store."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

from consignee.errors import Conflict, StoreError
from consignee.sealed import SEALED, keys_of, resealed
from consignee.secret import Sealer
from consignee.store import Document, Store

AT_ONCE: Final = 32
"""How many documents are saved together."""
_READ_AT_ONCE: Final = 200
"""How many documents are read before others get their turn."""

Renew = Callable[[str, str], Awaitable[object]]
"""Saves the document of that account and id anew, sealed with the key that seals now."""

log = logging.getLogger(__name__)


async def sealed_documents(store: Store) -> AsyncIterator[tuple[str, Document]]:
    """Yield each document that may hold something sealed, with its kind."""
    number = 0
    for kind in SEALED:
        for account in await store.accounts(kind):
            for id_ in await store.ids(kind, account):
                if (document := await store.get(kind, account, id_)) is not None:
                    yield kind, document
                if (number := number + 1) % _READ_AT_ONCE == 0:
                    await asyncio.sleep(0)


async def count_keys(store: Store) -> Counter[str]:
    """Return, by the id of the key, how many documents hold something that is sealed with it."""
    return Counter([key async for kind, document in sealed_documents(store) for key in keys_of(kind, document.data)])


class Resealing:
    """`renewals` are for the kinds of which somebody keeps a view of his own: they are saved by way of him."""

    def __init__(self, store: Store, *, sealer: Sealer, renewals: Mapping[str, Renew]) -> None:
        self._store = store
        self._sealer = sealer
        self._renewals = renewals
        self.stopped = False
        """Set it to have the work end after the documents that are under way."""

    async def run(self) -> None:
        """Go through all documents until none is left that can be sealed anew; raises StoreError if the disk failed."""
        while not self.stopped and await self._pass():
            pass

    async def _pass(self) -> int:
        """Return how many documents were sealed anew."""
        done, group = 0, list[tuple[str, Document]]()
        async for kind, document in sealed_documents(self._store):
            if self._is_behind(kind, document):
                group.append((kind, document))
            if len(group) == AT_ONCE:
                done += await self._renew(group)
                group = []
            if self.stopped:
                break
        return done + await self._renew(group)

    async def _renew(self, group: list[tuple[str, Document]]) -> int:
        outcomes = await asyncio.gather(*(self._renew_one(kind, document) for kind, document in group))
        return sum(outcomes)

    async def _renew_one(self, kind: str, document: Document) -> bool:
        """Return whether nothing in it is sealed with another key any more."""
        if kind in self._renewals:
            await self._renewals[kind](document.account, document.id)
        else:
            await self._save_anew(kind, document)
        latest = await self._store.get(kind, document.account, document.id)
        return latest is None or not self._is_behind(kind, latest)

    async def _save_anew(self, kind: str, document: Document) -> None:
        latest: Document | None = document
        while latest is not None and self._is_behind(kind, latest):
            account, id_, revision = latest.account, latest.id, latest.revision
            try:
                data = resealed(kind, account, id_, latest.data, self._sealer, revision=revision)
            except StoreError as error:
                log.error("a document of kind %s can't be sealed anew: %s", kind, error)
                return
            with suppress(Conflict):  # changed meanwhile: look again
                await self._store.save(kind, account, id_, data, replaces=revision)
            latest = await self._store.get(kind, account, id_)

    def _is_behind(self, kind: str, document: Document) -> bool:
        return bool(keys_of(kind, document.data) - {self._sealer.key_id})
