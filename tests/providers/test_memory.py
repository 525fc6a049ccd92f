"""The verified fake keeps the same contract as the real ones."""

import pytest

from consignee.providers.memory import MemoryStorage
from consignee.testing.buckets import Subject
from consignee.testing.readable import ReadableContract
from providers.opening import COMMON, loopback


class TestMemory(ReadableContract):
    @pytest.fixture
    def subject(self) -> Subject:
        """A storage, and a second one that has the same buckets but refuses to delete."""
        storage = MemoryStorage("bucket")
        forbidding = MemoryStorage(may_delete=False)
        forbidding.buckets = storage.buckets

        async def keys() -> list[str]:
            return sorted(storage.buckets["bucket"])

        async def read(key: str) -> bytes:
            return storage.buckets["bucket"][key]

        return Subject(
            provider=storage.provider,
            forbidding=forbidding.provider,
            fields=COMMON | {"type": "memory", "memory_secret": "memory-secret", "memory_bucket_name": "bucket"},
            settings=loopback(),
            wrong_secret={"memory_secret": "wrong"},
            no_bucket={"memory_bucket_name": "no-such-bucket"},
            no_delete={},
            keys=keys,
            read=read,
        )
