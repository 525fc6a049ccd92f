"""A storage service in memory that fails, waits and keeps checkpoints exactly as a test wants it to."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from consignee.body import Body
from consignee.destination import Draft
from consignee.errors import ProviderError, ProviderFailure
from consignee.providers import Bucket, Provider
from consignee.providers.base import Checkpoint
from consignee.providers.memory import MemoryFields, MemoryStorage
from consignee.transport import Transport

CANARY = "canary-upload-session-4711"


class Warehouse:
    """`faults` are what the next uploads to a bucket raise, one each, None for none; a `broken` bucket always raises.

    Uploads to a bucket or a key with a gate wait for it, after half of the file, or after they have sent the whole file
    that often `in_vain`; then they raise the next of `late`. With `in_parts`, an upload saves a checkpoint first; what is
    `deaf` can't be told to abandon it, and what is `slow` takes its time for that.
    """

    def __init__(self, *buckets: str) -> None:
        self.memory = MemoryStorage(*buckets)
        self.faults: defaultdict[str, list[Exception | None]] = defaultdict(list)
        self.broken: dict[str, ProviderFailure] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.in_parts = False
        self.in_vain = 0
        self.late: list[Exception] = []
        self.deaf: Exception | None = None
        self.slow: asyncio.Event | None = None
        self.at_gate = self.asked = False
        self.puts: list[tuple[str, str]] = []
        self.abandoned: list[tuple[str, Mapping[str, Any]]] = []
        self.resumed: list[str] = []
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.most_in_all = 0
        self.provider = Provider(type="memory", label="Memory", fields=MemoryFields, open=self._open)

    def __getitem__(self, bucket: str) -> dict[str, bytes]:
        return self.memory.buckets[bucket]

    @asynccontextmanager
    async def _open(self, draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
        async with self.memory.provider.open(draft, found, transport) as bucket:
            yield _Place(self, bucket, draft.settings["memory_bucket_name"])


class _Place(Bucket):
    def __init__(self, warehouse: Warehouse, bucket: Bucket, name: str) -> None:
        self._warehouse = warehouse
        self._bucket = bucket
        self._name = name
        self.found = {}

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        warehouse, name = self._warehouse, self._name
        warehouse.puts.append((name, key))
        warehouse.under_way[name] += 1
        warehouse.most[name] = max(warehouse.most[name], warehouse.under_way[name])
        warehouse.most_in_all = max(warehouse.most_in_all, warehouse.under_way.total())
        try:
            await self._put(key, body, checkpoint)
        finally:
            warehouse.under_way[name] -= 1

    async def _put(self, key: str, body: Body, checkpoint: Checkpoint | None) -> None:
        warehouse, name = self._warehouse, self._name
        if warehouse.in_parts and checkpoint is not None:
            if checkpoint.state:
                warehouse.resumed.append(checkpoint.state["upload"])
            await checkpoint.save({"upload": CANARY, "key": key})
        await asyncio.sleep(0)
        if name in warehouse.broken:
            raise warehouse.broken[name]
        if warehouse.faults[name] and (fault := warehouse.faults[name].pop(0)) is not None:
            raise fault
        if gate := warehouse.gates.get(key) or warehouse.gates.get(name):
            for content in [body] * warehouse.in_vain or [await body.part(0, body.length // 2)]:
                async for _ in content.chunks():
                    pass
            warehouse.at_gate = True
            try:
                await gate.wait()
            finally:
                warehouse.at_gate = False
            if warehouse.late:
                raise warehouse.late.pop(0)
        await self._bucket.put(key, body)

    async def abandon(self, key: str, state: Mapping[str, Any]) -> None:
        if self._warehouse.slow is not None:
            self._warehouse.asked = True
            await self._warehouse.slow.wait()
        if self._warehouse.deaf is not None:
            raise self._warehouse.deaf
        self._warehouse.abandoned.append((key, state))

    async def delete(self, key: str) -> None:
        await self._bucket.delete(key)


def passing(**more: Any) -> ProviderError:
    """Return a failure that may pass."""
    return ProviderError("The storage reported a fault.", **more)
