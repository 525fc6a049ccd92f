"""The files that are given to the command: checked before anything is sent, then read piece by piece."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp.payload import AsyncIterablePayload

from consignee.body import CHUNK_BYTES
from consignee.delivery.file_names import Names
from consignee.errors import ConsigneeError, InvalidRequest


class Unsuitable(ConsigneeError):
    """A file can't be sent."""


@dataclass(frozen=True)
class Item:
    """A file, and its size in bytes when it was looked at."""

    path: Path
    size: int

    async def chunks(self, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
        """Yield the content, and say how much went out; raises Unsuitable if it is not as long as it was."""
        total = 0
        with await asyncio.to_thread(self.path.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                total += len(chunk)
                yield chunk
                sent(len(chunk))
        if total != self.size:
            raise Unsuitable(f"{self.path} changed while it was read")


class Parcel:
    """Files that go out together."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.failure: Exception | None = None
        """Why it could not be read to its end, if so."""

    @property
    def size(self) -> int:
        """All of their bytes."""
        return sum(item.size for item in self.items)

    def writer(self, sent: Callable[[int], None]) -> aiohttp.MultipartWriter:
        """Return the body of a request, which reads the files as it goes out."""
        writer = aiohttp.MultipartWriter("form-data")
        for item in self.items:
            part = AsyncIterablePayload(self._watched(item, sent), content_type="application/octet-stream")
            part.set_content_disposition("form-data", quote_fields=False, name="file", filename=item.path.name)
            writer.append_payload(part)
        return writer

    async def _watched(self, item: Item, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
        try:
            async for chunk in item.chunks(sent):
                yield chunk
        except (Unsuitable, OSError) as error:
            self.failure = error
            raise


def packed(paths: Iterable[Path]) -> Parcel:
    """Return the files; raises Unsuitable or OSError for one that is none, InvalidRequest for a name that can't be taken."""
    names, items = Names(), []
    for path in paths:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise Unsuitable(f"{path} is {'a directory' if stat.S_ISDIR(found.st_mode) else 'not a file'}")
        with path.open("rb"):
            items.append(Item(path, found.st_size))
        try:
            names.add(path.name)
        except InvalidRequest as error:
            raise Unsuitable("; ".join(error.errors["files"])) from None
    return Parcel(items)
