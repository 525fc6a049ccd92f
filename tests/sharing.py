"""Several processes on one store, in one: each has a view of its own of the same documents."""

import asyncio
import builtins
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from consignee.errors import StoreError
from consignee.store import Data, Document, Entry, Store
from consignee.store.memory import MemoryStore

_NUMBERS = itertools.count(1)


class SharedMemoryStore(Store):
    """What one process sees of the documents; `away` has every operation of this process fail.

    Others get their turn before each operation, as between real processes.
    """

    def __init__(self, documents: MemoryStore | None = None) -> None:
        self.documents = MemoryStore() if documents is None else documents
        self.away = False
        self.reads: list[tuple[str, ...]] = []
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.entries: dict[tuple[str, str, str], int] = {}
        self._versions = itertools.count(1)

    def another(self) -> "SharedMemoryStore":
        """Return the view of another process."""
        made = SharedMemoryStore(self.documents)
        made.locks, made.entries = self.locks, self.entries
        return made

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise StoreError("the database can't be reached")

    async def open(self) -> None:
        if not self.documents.writable:
            await self.documents.open()

    async def close(self) -> None:
        self.away = True

    @property
    def writable(self) -> bool:
        return self.documents.writable and not self.away

    @property
    def shared(self) -> bool:
        return True

    @asynccontextmanager
    async def alone(self, name: str, *, patience: float = 30.0) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(patience):
                await self.locks[name].acquire()
        except TimeoutError:
            raise StoreError("another process is inside") from None
        try:
            yield
        finally:
            self.locks[name].release()

    async def in_order(self, kind: str, *, behind: int = 0, most: int) -> builtins.list[Entry]:
        await self._turn()
        found = [Entry(number, *place[1:]) for place, number in self.entries.items() if place[0] == kind]
        return sorted(one for one in found if one.number > behind)[:most]

    def kinds(self) -> list[str]:
        return self.documents.kinds()

    async def accounts(self, kind: str) -> builtins.list[str]:
        await self._turn()
        return await self.documents.accounts(kind)

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        await self._turn()
        self.reads.append((kind, account, id))
        return await self.documents.get(kind, account, id)

    async def list(self, kind: str, account: str, *, prefix: str = "") -> builtins.list[Document]:
        await self._turn()
        return await self.documents.list(kind, account, prefix=prefix)

    async def ids(self, kind: str, account: str, *, prefix: str = "") -> builtins.list[str]:
        await self._turn()
        return await self.documents.ids(kind, account, prefix=prefix)

    async def revision(self, kind: str, account: str, id: str) -> int:  # noqa: A002
        await self._turn()
        return await self.documents.revision(kind, account, id)

    async def revisions(self, kind: str, account: str) -> dict[str, int]:
        await self._turn()
        return await self.documents.revisions(kind, account)

    def version(self, kind: str, account: str) -> int:
        return next(self._versions)

    async def count(self, kind: str, account: str) -> int:
        await self._turn()
        return await self.documents.count(kind, account)

    async def save(
        self,
        kind: str,
        account: str,
        id: str,  # noqa: A002
        data: Data,
        *,
        replaces: int = 0,
        limit: int | None = None,
    ) -> Document:
        await self._turn()
        saved = await self.documents.save(kind, account, id, data, replaces=replaces, limit=limit)
        self.entries.setdefault((kind, account, id), next(_NUMBERS))
        return saved

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        await self._turn()
        await self.documents.remove(kind, account, id, replaces=replaces)
        del self.entries[kind, account, id]


async def opened() -> SharedMemoryStore:
    """Return the first process's view of no documents yet."""
    store = SharedMemoryStore()
    await store.open()
    return store
