"""A store in which somebody else is faster."""

from collections.abc import Awaitable, Callable

from consignee.store import Data, Document
from consignee.store.memory import MemoryStore


class RacyStore(MemoryStore):
    """Does what is `first` before the next save; what that saves itself is not held up."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Callable[[], Awaitable[object]] | None = None

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
        first, self.first = self.first, None
        if first is not None:
            await first()
        return await super().save(kind, account, id, data, replaces=replaces, limit=limit)
