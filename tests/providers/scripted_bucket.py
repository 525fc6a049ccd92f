"""A bucket that takes everything in parts, and fails where a test wants it to."""

import asyncio
import hashlib
from collections import defaultdict
from typing import Final

from consignee.body import Body
from consignee.providers.base import Checkpoint
from consignee.providers.parts import PartsBucket, UploadGone
from consignee.transport import Parts

PARTS: Final = Parts(threshold=0, size=10, at_once=3, tries=3, pause=0.001)


class ScriptedBucket(PartsBucket):
    """`calls` are such as `begin`, `part 1`, `complete`; `faults` are what the next calls of that name raise.

    Those of `late` are raised after the storage has done what it was asked for. With `hold`, parts wait until `released`.
    """

    def __init__(self, parts: Parts = PARTS, *, hold: bool = False) -> None:
        self.found = {}
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.calls: list[str] = []
        self.faults: defaultdict[str, list[Exception]] = defaultdict(list)
        self.late: defaultdict[str, list[Exception]] = defaultdict(list)
        self.released = asyncio.Event()
        self.waiting = 0
        self.most = 0
        self._parts = parts
        if not hold:
            self.released.set()

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        await self.put_in_parts(key, body, checkpoint, self._parts)

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    async def begin(self, key: str) -> str:
        self._called("begin")
        upload = f"upload-{self.calls.count('begin')}"
        self.uploads[upload] = {}
        self._done("begin")
        return upload

    async def send_part(self, key: str, upload: str, number: int, body: Body) -> str:
        self._called(f"part {number}")
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.released.wait()
            await asyncio.sleep(0)
        finally:
            self.waiting -= 1
        self._known(upload)[number] = b"".join([chunk async for chunk in body.chunks()])
        self._done(f"part {number}")
        return hashlib.md5(self.uploads[upload][number]).hexdigest()

    async def complete(self, key: str, upload: str, tags: list[str], body: Body) -> None:
        self._called("complete")
        parts = self._known(upload)
        assert [hashlib.md5(parts[number]).hexdigest() for number in sorted(parts)] == tags
        self.objects[key] = b"".join(parts[number] for number in sorted(parts))
        del self.uploads[upload]
        self._done("complete")

    async def abort(self, key: str, upload: str) -> None:
        self._called("abort")
        self._known(upload)
        del self.uploads[upload]

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.faults[name]:
            raise self.faults[name].pop(0)

    def _done(self, name: str) -> None:
        if self.late[name]:
            raise self.late[name].pop(0)

    def _known(self, upload: str) -> dict[int, bytes]:
        if upload not in self.uploads:
            raise UploadGone
        return self.uploads[upload]
