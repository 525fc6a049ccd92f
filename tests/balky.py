"""A storage in memory that hangs or refuses where a test wants it to."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from consignee.body import Body
from consignee.destination import Draft
from consignee.errors import AccessDenied, ProviderFailure
from consignee.providers import Bucket, Provider
from consignee.providers.base import Checkpoint
from consignee.providers.memory import MemoryFields, MemoryStorage
from consignee.transport import Transport


def fields(bucket: str = "bucket", **more: Any) -> dict[str, Any]:
    """Return the fields of a destination there."""
    names = {"type": "memory", "memory_secret": "memory-secret", "memory_bucket_name": bucket}
    return {"name": bucket, "enabled": True, **names, **more}


class BalkyStorage:
    """Buckets of which some refuse uploads and some hang until `resumed` is set.

    `deletes` are the errors of the next deletes, one after the other; `opened` are the names of buckets as they were used,
    and `most` is how many were used at once.
    """

    def __init__(self, *buckets: str) -> None:
        self.memory = MemoryStorage(*buckets)
        self.hanging: set[str] = set()
        self.refusing: set[str] = set()
        self.deletes: list[ProviderFailure] = []
        self.opened: list[str] = []
        self.under_way: list[str] = []
        self.most = 0
        self.resumed = asyncio.Event()
        self.provider = Provider(type="memory", label="Memory", fields=MemoryFields, open=self._open)

    @asynccontextmanager
    async def _open(self, draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
        name = draft.settings["memory_bucket_name"]
        self.opened.append(name)
        self.under_way.append(name)
        self.most = max(self.most, len(self.under_way))
        try:
            async with self.memory.provider.open(draft, found, transport) as bucket:
                yield _Balky(self, bucket, name)
        finally:
            self.under_way.remove(name)


class _Balky(Bucket):
    def __init__(self, storage: BalkyStorage, bucket: Bucket, name: str) -> None:
        self._storage = storage
        self._bucket = bucket
        self._name = name
        self.found = {}

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        await self._hang()
        if self._name in self._storage.refusing:
            raise AccessDenied("The storage refused access.")
        await self._bucket.put(key, body, checkpoint)

    async def delete(self, key: str) -> None:
        await self._hang()
        if self._storage.deletes:
            raise self._storage.deletes.pop(0)
        await self._bucket.delete(key)

    async def _hang(self) -> None:
        if self._name in self._storage.hanging:
            await self._storage.resumed.wait()
        await asyncio.sleep(0)
