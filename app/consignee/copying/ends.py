"""The two ends of a copy: what is read from, and what is written to."""

import abc
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from consignee.store import Document, Store

LEFT_OUT: Final = frozenset({"copies", "tenures"})
"""Kinds that belong to a running process, or to a copy, and not to what was stored."""

Place = tuple[str, str]
"""A kind and an account."""


class Source(abc.ABC):
    """An open store that nobody writes to until it is closed. All methods raise StoreError."""

    name: str
    """Where it is, without any secret."""

    @abc.abstractmethod
    async def places(self) -> list[Place]:
        """Return the kinds and accounts of which there are documents, sorted."""

    @abc.abstractmethod
    def documents(self, kind: str, account: str) -> AsyncGenerator[Document, None]:
        """Yield the documents of a place in the order of their first saves; never all of them are held in memory for it."""


class Target(Source):
    """Where documents are copied to; it opens for nobody else before `finished` ends well. All methods raise StoreError."""

    @abc.abstractmethod
    async def cut(self, kind: str, account: str, *, left: int) -> None:
        """Remove all documents of a place but the first `left`."""

    @abc.abstractmethod
    async def append(self, kind: str, documents: Sequence[Document]) -> None:
        """Add documents as they are, behind those of the same account that are there already."""

    @abc.abstractmethod
    def finished(self) -> AbstractAsyncContextManager[Source]:
        """Return a context with what was copied, to be read; left without an error, it is from then on a store like any other."""


class StoreSource(Source):
    """What is in an open store."""

    def __init__(self, name: str, store: Store) -> None:
        self.name = name
        self.store = store

    async def places(self) -> list[Place]:
        kinds = [kind for kind in self.store.kinds() if kind not in LEFT_OUT]
        return [(kind, account) for kind in kinds for account in await self.store.accounts(kind)]

    async def documents(self, kind: str, account: str) -> AsyncGenerator[Document, None]:
        for id_ in await self.store.ids(kind, account):
            if (document := await self.store.get(kind, account, id_)) is not None:
                yield document
