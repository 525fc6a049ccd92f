"""The store that forgets: for tests and for trying things out. It keeps the contract but for durability."""

from consignee.errors import StoreError, StoreUnusable
from consignee.store import Data, Document
from consignee.store.index import Change, Index, check_kind, judge, judge_limit, judge_removal
from consignee.store.indexed import IndexedStore
from consignee.store.record import encode_record


class MemoryStore(IndexedStore):
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

    async def list(self, kind: str, account: str, *, prefix: str = "") -> list[Document]:
        return self._index(kind).list(account, prefix)

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
