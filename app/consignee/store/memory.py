"""The store that forgets: for tests and for trying things out. It keeps the contract but for durability."""

import builtins

from consignee.errors import StoreError, StoreUnusable
from consignee.store import Data, Document, Store
from consignee.store.index import Change, Index, check_kind, judge, judge_limit, judge_removal
from consignee.store.record import encode_record


class MemoryStore(Store):
    """Keeps documents as long as the object lives, also over `close` and `open`."""

    def __init__(self) -> None:
        self._indexes: dict[str, Index] = {}
        self._open = False

    async def open(self) -> None:
        if self._open:
            raise StoreUnusable("this store is open already")
        self._open = True

    async def close(self) -> None:
        self._open = False

    @property
    def writable(self) -> bool:
        return self._open

    def kinds(self) -> list[str]:
        return sorted(self._indexes)

    async def accounts(self, kind: str) -> list[str]:
        return self._index(kind).accounts()

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        return self._index(kind).get(account, id)

    async def list(self, kind: str, account: str, *, prefix: str = "") -> list[Document]:
        return self._index(kind).list(account, prefix)

    async def ids(self, kind: str, account: str, *, prefix: str = "") -> builtins.list[str]:
        return self._index(kind).ids(account, prefix)

    async def revision(self, kind: str, account: str, id: str) -> int:  # noqa: A002
        return self._index(kind).revision(account, id)

    async def revisions(self, kind: str, account: str) -> dict[str, int]:
        return self._index(kind).revisions(account)

    def version(self, kind: str, account: str) -> int:
        return self._index(kind).version(account)

    async def count(self, kind: str, account: str) -> int:
        return self._index(kind).count(account)

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
        check_kind(kind)
        index = self._index(kind)
        line = encode_record(account, id, replaces + 1, data)
        judge(index.revision(account, id), replaces=replaces)
        if replaces == 0:
            judge_limit(index.count(account), limit)
        index.apply(Change(kind, account, id, replaces + 1, line))
        self._indexes[kind] = index
        return Document.encoded(account, id, replaces + 1, line)

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        index = self._index(kind)
        judge_removal(index.revision(account, id), replaces=replaces)
        index.apply(Change(kind, account, id, replaces + 1, b"", removed=True))

    def _index(self, kind: str) -> Index:
        if not self._open:
            raise StoreError("the store is not open")
        return self._indexes.get(kind) or Index()
