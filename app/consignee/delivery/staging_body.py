"""Files of result sets as they are read from a staging bucket, each a section of its set's stream."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from consignee.body import Body, KeptBody
from consignee.delivery.contents import Content
from consignee.delivery.intake import SpooledFile
from consignee.delivery.result_files import Stored
from consignee.delivery.staging_layout import Layout, trailer_bytes
from consignee.delivery.staging_pieces import Pieces
from consignee.digests import Checksum, Digests, Sections
from consignee.errors import FileDamaged, StoreError

GAP_BYTES: Final = 64 * 1024
"""As much is read in vain between two small files rather than with a request of its own for the second one."""
_DAMAGED: Final = "The file was damaged in the staging bucket: it is not what was taken in."


class _Trailer:
    """The digests behind a file, read once, when they are first asked for."""

    def __init__(self, pieces: Pieces, token: str, at: int, file: SpooledFile) -> None:
        self._read = (pieces, token, at, trailer_bytes(file.size))
        self._file = file
        self._sections: Sections | None = None
        self._turn = asyncio.Lock()
        self._known = not trailer_bytes(file.size)

    async def sections(self) -> Sections | None:
        """Return them, if there are any, and whole. Raises StoreError."""
        async with self._turn:
            if not self._known:
                kept = await _whole(*self._read)
                self._sections = Sections.decoded(kept, self._file.size, bytes.fromhex(self._file.sha256))
                self._known = True
        return self._sections


@dataclass(frozen=True)
class StagedBody(KeptBody):
    """A file, or the section of it that lies `at` there in the stream; never whole in memory.

    Reading raises StoreError, or FileDamaged: if the bucket does not have all of it, and, before the last piece is given out, if
    what was read from the beginning is not what `sha256` says, or the `checksum`, where there is one. If not `checked`, `sha256`
    is of something else.
    """

    pieces: Pieces
    token: str
    at: int
    length: int
    md5: bytes
    sha256: bytes
    trailer: _Trailer | None = None
    checked: bool = True
    checksum: bytes | None = None

    async def chunks(self, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield the content from `offset`."""
        left, proof = self.length - offset, None if offset else self._proof()
        async with aclosing(self.pieces.read(self.token, self.at + offset, left)) as chunks:
            async for chunk in chunks:
                left -= len(chunk)
                if proof is not None:
                    proof.update(chunk)
                    if not left and proof.digest() != (self.checksum or self.sha256):
                        raise FileDamaged(_DAMAGED)
                yield chunk

    async def verify(self) -> None:
        """Return if the whole file, read once more, is what its digest says; raises FileDamaged, StoreError."""
        async for _ in self.chunks():
            pass

    async def is_sectioned(self, size: int) -> bool:
        """Return whether they are kept behind the file; raises StoreError."""
        sections = await self.trailer.sections() if self.trailer else None
        return sections is not None and sections.size == size

    async def part(self, offset: int, length: int) -> Body:
        """Return a section, after reading it once for its digests if they are not kept; raises StoreError, FileDamaged."""
        bare = replace(self, at=self.at + offset, length=length, trailer=None, checked=False, checksum=None)
        sections = await self.trailer.sections() if self.trailer else None
        if sections is not None and (known := sections.known(offset, length)):
            return replace(bare, md5=known.md5, sha256=known.sha256, checked=True, checksum=known.checksum)
        made = Digests()
        async for chunk in bare.chunks():
            made.update(chunk)
        return replace(bare, md5=made.md5.digest(), sha256=made.sha256.digest(), checked=True)

    def section(self, start: int, length: int) -> Body:
        """Return that section, to be read."""
        return replace(self, at=self.at + start, length=length, trailer=None, checked=False, checksum=None)

    def _proof(self) -> "hashlib._Hash | Checksum | None":
        if self.checksum is not None:
            return Checksum()
        return hashlib.sha256() if self.checked else None


class StagedSet(Stored):
    """The files of one set."""

    def __init__(self, pieces: Pieces, token: str, files: Sequence[SpooledFile]) -> None:
        self._pieces = pieces
        self._token = token
        self._files = files
        self._starts = Layout(file.size for file in files).starts

    def body(self, number: int) -> StagedBody:
        """Return the content of a file."""
        file, at = self._files[number], self._starts[number]
        trailer = _Trailer(self._pieces, self._token, at + file.size, file)
        digests = bytes.fromhex(file.md5), bytes.fromhex(file.sha256)
        return StagedBody(self._pieces, self._token, at, file.size, *digests, trailer)

    async def contents(self, numbers: Iterable[int]) -> Mapping[int, Body]:
        """Return small files, of which those that lie close together are read with one request."""
        found: dict[int, Body] = {}
        for run in self._runs(sorted(numbers)):
            begin = self._starts[run[0]]
            try:
                read = await _whole(self._pieces, self._token, begin, self._end(run[-1]) - begin)
            except (StoreError, FileDamaged):
                continue
            for number in run:
                file, at = self._files[number], self._starts[number] - begin
                content = read[at : at + file.size]
                if hashlib.sha256(content).hexdigest() == file.sha256:
                    found[number] = Content(content, file)
        return found

    def _runs(self, numbers: Iterable[int]) -> Iterator[list[int]]:
        run: list[int] = []
        for number in numbers:
            if run and self._starts[number] - self._end(run[-1]) > GAP_BYTES:
                yield run
                run = []
            run.append(number)
        if run:
            yield run

    def _end(self, number: int) -> int:
        return self._starts[number] + self._files[number].size


async def _whole(pieces: Pieces, token: str, at: int, length: int) -> bytes:
    return b"".join([chunk async for chunk in pieces.read(token, at, length)])
