"""The files of a result set on their way out: read piece by piece, whatever their size."""

import asyncio
import os
import stat
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp.payload import AsyncIterablePayload, StringPayload

from consignee.client.errors import Unsuitable

Source = Path | bytes | AsyncIterable[bytes]
"""The content of a file. What can be iterated again, as an AsyncIterator or a StreamReader can't, can be sent again."""

_PIECE: Final = 256 * 1024


def by_name(files: Mapping[str, Source] | Iterable[str | os.PathLike[str]]) -> dict[str, Source]:
    """Return the content of each file by its name; raises Unsuitable for a name that is given twice, or is none."""
    if isinstance(files, Mapping):
        found: dict[str, Source] = dict(files)
    else:
        found = {}
        for path in map(Path, files):
            if path.name in found:
                raise Unsuitable(f"there are two files of the name {path.name!r}")
            found[path.name] = path
    for name in found:
        if not name or not _is_sound(name):
            raise Unsuitable(f"{name!r} can't be the name of a file")
    return found


def _is_sound(name: str) -> bool:
    """It becomes part of a header; all else about it is the service's to judge."""
    try:
        return all(byte >= 32 and byte != 127 for byte in name.encode())
    except UnicodeEncodeError:
        return False


class Package:
    """Files and fields as the body of a request. `progress` is told of all bytes of files that went out so far."""

    def __init__(
        self, files: Mapping[str, Source], fields: Mapping[str, str | None], progress: Callable[[int], None] | None
    ) -> None:
        self._files = files
        self._fields = {name: value for name, value in fields.items() if value is not None}
        self._progress = progress
        self._sizes = {name: size_of(source) for name, source in files.items() if isinstance(source, Path)}
        self._gone = 0
        self.failure: Exception | None = None

    @property
    def again(self) -> bool:
        """Whether every file can be read once more."""
        return not any(isinstance(source, AsyncIterator | aiohttp.StreamReader) for source in self._files.values())

    def payload(self) -> aiohttp.MultipartWriter:
        """Return the body, which reads the files as it goes out."""
        self._gone, writer = 0, aiohttp.MultipartWriter("form-data")
        for name, value in self._fields.items():
            field = StringPayload(value)
            field.set_content_disposition("form-data", name=name)
            writer.append_payload(field)
        for name, source in self._files.items():
            part = AsyncIterablePayload(self._watched(name, source), content_type="application/octet-stream")
            part.set_content_disposition("form-data", quote_fields=False, name="file", filename=name)
            writer.append_payload(part)
        return writer

    async def _watched(self, name: str, source: Source) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks(name, source):
                yield chunk
                self._gone += len(chunk)
                if self._progress is not None:
                    self._progress(self._gone)
        except Exception as error:
            self.failure = error
            raise

    def _chunks(self, name: str, source: Source) -> AsyncIterable[bytes]:
        if isinstance(source, Path):
            return _read(source, self._sizes[name])
        return _cut(source) if isinstance(source, bytes) else source


def size_of(path: Path) -> int:
    """Return the bytes of a file; raises Unsuitable if it is none, OSError."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise Unsuitable(f"{path} is {'a directory' if stat.S_ISDIR(found.st_mode) else 'not a file'}")
    return found.st_size


async def _read(path: Path, size: int) -> AsyncIterator[bytes]:
    """Yield the content; raises Unsuitable if it is not as long as it was."""
    total = 0
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, _PIECE):
            total += len(chunk)
            yield chunk
    if total != size:
        raise Unsuitable(f"{path} changed while it was read")


async def _cut(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]
