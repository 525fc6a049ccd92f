"""What the stores share that have all their documents in memory."""

import abc

from consignee.store import Document, Size, Store
from consignee.store.index import Index


class IndexedStore(Store):
    """Reads what one index for each kind holds."""

    _indexes: dict[str, Index]

    @abc.abstractmethod
    def _index(self, kind: str) -> Index:
        """Return the index of a kind, an empty one if there is none yet; raises StoreError unless the store is open."""

    def kinds(self) -> list[str]:
        return sorted(self._indexes)

    def sizes(self) -> dict[str, Size]:
        return {kind: Size(one.live_documents, one.live_bytes) for kind, one in self._indexes.items()}

    async def accounts(self, kind: str) -> list[str]:
        return self._index(kind).accounts()

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        return self._index(kind).get(account, id)

    async def ids(self, kind: str, account: str, *, prefix: str = "") -> list[str]:
        return self._index(kind).ids(account, prefix)

    async def revision(self, kind: str, account: str, id: str) -> int:  # noqa: A002
        return self._index(kind).revision(account, id)

    async def revisions(self, kind: str, account: str) -> dict[str, int]:
        return self._index(kind).revisions(account)

    def version(self, kind: str, account: str) -> int:
        return self._index(kind).version(account)

    async def count(self, kind: str, account: str) -> int:
        return self._index(kind).count(account)
