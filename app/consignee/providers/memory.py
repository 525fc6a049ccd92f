"""The verified fake: a storage service in memory, for tests. It passes the same contract suite as the real ones.

Nobody can register a destination of this type unless the application hands `MemoryStorage().provider` to it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

from consignee.body import CHUNK_BYTES, Body
from consignee.destination import Draft
from consignee.errors import AccessDenied, BucketNotFound, CredentialsRejected
from consignee.providers.base import Bucket, Checkpoint, Missing, Provider
from consignee.providers.fields import DestinationFields, prefix, text
from consignee.transport import Transport


class MemoryFields(DestinationFields):
    """The fields of a bucket in memory."""

    prefix_field = "memory_path_prefix"

    memory_secret = text("Secret", required=True, secret=True)
    memory_bucket_name = text("Bucket name", required=True)
    memory_path_prefix = prefix()


class MemoryStorage:
    """Buckets in memory, all opened with one secret; `may_delete=False` makes it refuse to delete."""

    def __init__(self, *buckets: str, secret: str = "memory-secret", may_delete: bool = True) -> None:  # noqa: S107
        self.buckets: dict[str, dict[str, bytes]] = {name: {} for name in buckets}
        self.may_delete = may_delete
        self._secret = secret
        self.provider = Provider(type="memory", label="Memory", fields=MemoryFields, open=self._open)

    @asynccontextmanager
    async def _open(self, draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
        known = draft.secrets["memory_secret"].reveal() == self._secret
        yield MemoryBucket(self, draft.settings["memory_bucket_name"], known=known)


class MemoryBucket(Bucket):
    """One bucket of a MemoryStorage."""

    def __init__(self, storage: MemoryStorage, name: str, *, known: bool) -> None:
        self._storage = storage
        self._name = name
        self._known = known
        self.found = {}

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        """Keep the object."""
        content = b"".join([chunk async for chunk in body.chunks()])
        self._objects()[key] = content

    async def delete(self, key: str) -> None:
        """Forget the object."""
        objects = self._objects()
        if not self._storage.may_delete:
            raise AccessDenied("The storage refused access.")
        objects.pop(key, None)

    async def read(self, key: str, *, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """Yield a section."""
        content = self._objects().get(key)
        if content is None or len(content) < start + length:
            raise Missing
        for at in range(start, start + length, CHUNK_BYTES):
            yield content[at : min(at + CHUNK_BYTES, start + length)]

    def _objects(self) -> dict[str, bytes]:
        if not self._known:
            raise CredentialsRejected("The secret is wrong.")
        if self._name not in self._storage.buckets:
            raise BucketNotFound("There is no such bucket.")
        return self._storage.buckets[self._name]
