"""A store in which something may come before each save: another change, a wait, a failure."""

from consignee.store import Data, Document
from consignee.store.memory import MemoryStore


class PrecededStore(MemoryStore):
    """A store in memory that does `before_save` first; what that raises is what the save raises."""

    async def before_save(self, kind: str, id: str, data: Data) -> None:  # noqa: A002
        """Do what is to be done first."""

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
        await self.before_save(kind, id, data)
        return await super().save(kind, account, id, data, replaces=replaces, limit=limit)
