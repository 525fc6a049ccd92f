"""A directory as what documents are copied to: all of them are written where no store looks for them, and then take their names.

Until then, and from before the first byte, a note in the directory `copying` in the store's keeps any store from being opened
there. Whatever ends the work half-way, the next copy removes what that left. Nothing is removed that the note does not cover.
"""

import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from consignee.copying.ends import Place, Source, StoreSource, Target
from consignee.errors import StoreUnusable
from consignee.store import Document
from consignee.store.directory import COPYING, RESTORING, take_lock
from consignee.store.disk import fsync_directory, make_directory, new_private, write_all, write_durably
from consignee.store.json_file import JsonFileStore
from consignee.store.private import require_private
from consignee.store.record import encode_header, encode_record

_STAGED: Final = os.path.dirname(COPYING)
_MADE: Final = re.compile(r"lock|reserve|note(\.new)?|[a-z_]+\.jsonl")
"""What a copy leaves in its directory, wherever it ends."""


class DirectoryTarget(Target):
    """The directory `path`, which must hold no store yet, but may hold what an interrupted copy left."""

    def __init__(self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.name = str(path)
        self._path = path
        self._staged = path / _STAGED
        self._now = now
        self._lock: int | None = None
        self._files: dict[str, int] = {}

    def open(self) -> None:
        """Take the directory, and note durably that it is being copied to; raises StoreUnusable, OSError."""
        make_directory(self._path)
        require_private(self._path)
        self._lock = take_lock(self._path, "store")
        if (self._path / RESTORING).exists():
            raise StoreUnusable(f"a backup was restored to {self._path} in part only: repeat consignee restore")
        if not (self._path / COPYING).exists():
            self._require_empty()
        self._clear()
        make_directory(self._staged)
        write_durably(self._path / COPYING, b"")

    def close(self) -> None:
        """Let go of it."""
        for fd in self._files.values():
            os.close(fd)
        self._files.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _require_empty(self) -> None:
        if any(self._path.glob("*.jsonl")):
            raise StoreUnusable(f"there is a store in {self._path} already: move it away, or copy to another place")

    def _clear(self) -> None:
        """Remove what an interrupted copy left; the note stays to the end."""
        if not self._staged.exists():
            return
        if strange := [name for name in os.listdir(self._staged) if not _MADE.fullmatch(name)]:
            raise StoreUnusable(f"{self._staged / strange[0]} is in the way, and no copy made it: move it away")
        if (self._path / COPYING).exists():
            for file in self._path.glob("*.jsonl"):
                file.unlink()
            fsync_directory(self._path)
        for file in sorted(self._staged.iterdir(), key=lambda file: file == self._path / COPYING):
            file.unlink()
        self._staged.rmdir()
        fsync_directory(self._path)

    async def places(self) -> list[Place]:
        return []  # what an interrupted copy left was removed: to write it anew is quicker than to compare

    async def documents(self, kind: str, account: str) -> AsyncGenerator[Document, None]:
        nothing: list[Document] = []
        for document in nothing:
            yield document

    async def cut(self, kind: str, account: str, *, left: int) -> None:
        """There is nothing."""

    async def append(self, kind: str, documents: Sequence[Document]) -> None:
        if (fd := self._files.get(kind)) is None:
            fd = self._files[kind] = new_private(self._staged / f"{kind}.jsonl")
            write_all(fd, encode_header(kind, self._now()))
        write_all(fd, b"".join(encode_record(one.account, one.id, one.revision, one.data) for one in documents))

    @asynccontextmanager
    async def finished(self) -> AsyncIterator[Source]:
        for fd in self._files.values():
            os.fsync(fd)
        store = JsonFileStore(self._staged, reserve=0)
        await store.open()
        try:
            yield StoreSource(self.name, store)
        finally:
            await store.close()
        for kind in self._files:
            (self._staged / f"{kind}.jsonl").rename(self._path / f"{kind}.jsonl")
        fsync_directory(self._path)
        (self._path / COPYING).unlink()  # from here on it is a store
        fsync_directory(self._staged)
        self._clear()
