"""The default store: JSON lines in one directory, one file for each kind, all of it in memory too."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from consignee.errors import StoreError, StoreUnusable
from consignee.store import Data, Document
from consignee.store.directory import Directory
from consignee.store.index import Change, Index, Key, check_kind, judge, judge_limit, judge_removal
from consignee.store.indexed import IndexedStore
from consignee.store.record import encode_record
from consignee.store.writer import Writer

COMPACT_ABOVE: Final = 1024 * 1024
RESERVE: Final = 1024 * 1024
"""Bytes: room for some thousand removals."""
_LISTED_AT_ONCE: Final = 250
"""After so many documents of a list others have their turn on the event loop."""


def _now() -> datetime:
    return datetime.now(UTC)


class JsonFileStore(IndexedStore):
    """Keeps documents in the directory `path`; only one process can have it open.

    A file above `compact_above` bytes is written anew when half of it is dead. `now` dates new files. When the disk is full,
    removals get the `reserve` bytes that nothing else gets.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = _now,
        compact_above: int = COMPACT_ABOVE,
        reserve: int = RESERVE,
    ) -> None:
        self._new_directory = partial(Directory, path, now=now, compact_above=compact_above, reserve=reserve)
        self._directory = self._new_directory()
        self._indexes: dict[str, Index] = {}
        self._under_way: dict[Key, list[asyncio.Future[None]]] = {}
        """Who waits until a change of a document has ended."""
        self._creating: dict[tuple[str, ...], int] = {}
        self._writer: Writer | None = None
        self._readable = False
        self._closing = False

    async def open(self) -> None:
        if self._writer is not None:
            raise StoreUnusable("this store is open already")
        self._directory = directory = self._new_directory()
        self._writer = writer = Writer(write=directory.commit, settle=self._settle, rest=self._rest)
        try:
            self._indexes = await writer.run(directory.open)
        except BaseException as error:
            self._writer = None
            # A cancelled opening goes on in its thread: what it takes is let go when it ends.
            writer.end(directory.close if isinstance(error, asyncio.CancelledError) else None)
            raise
        self._readable, self._closing = True, False

    async def close(self) -> None:
        self._closing = True
        if (writer := self._writer) is None:
            return
        await writer.idle()
        await writer.run(self._directory.close)
        writer.end()
        self._writer, self._readable = None, False

    @property
    def writable(self) -> bool:
        return self._readable and not self._closing and not self._directory.doubtful

    @property
    def commits(self) -> int:
        """How many writes were made durable since the opening, or failed: under load far fewer than saves."""
        return self._directory.commits

    async def snapshot(self) -> dict[str, tuple[int, int]]:
        """Return a descriptor to read from and a size for each kind: all that was durable at one moment, and nothing later.

        What comes later is beyond those sizes or in other files. The caller closes the descriptors. Raises StoreError.
        """
        if self._writer is None or self._closing:
            raise StoreError("the store is not open")
        return await self._writer.run(self._directory.snapshot)

    async def list(self, kind: str, account: str, *, prefix: str = "") -> list[Document]:
        ids, lines = (index := self._index(kind)).found(account, prefix)
        documents: list[Document] = []
        for at in range(0, len(ids), _LISTED_AT_ONCE):
            if at:
                await asyncio.sleep(0)
            part = slice(at, at + _LISTED_AT_ONCE)
            documents += index.documents(account, ids[part], lines[part])
        return documents

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
        if kind not in self._indexes:
            check_kind(kind)
        line = encode_record(account, id, replaces + 1, data)
        await self._settled((kind, account, id))
        index = self._index(kind)
        judge(index.revision(account, id), replaces=replaces)
        if limit is not None and replaces == 0:
            judge_limit(index.count(account) + self._creating.get((kind, account), 0), limit)
        await self._submit(Change(kind, account, id, replaces + 1, line))
        return Document.encoded(account, id, replaces + 1, line)

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        line = encode_record(account, id, replaces + 1, None)
        await self._settled((kind, account, id))
        judge_removal(self._index(kind).revision(account, id), replaces=replaces)
        await self._submit(Change(kind, account, id, replaces + 1, line, removed=True))

    async def _settled(self, key: Key) -> None:
        """Return when nothing of the document is under way; submit before the next await."""
        self._require_writable()
        while (waiting := self._under_way.get(key)) is not None:
            turn = asyncio.get_running_loop().create_future()
            waiting.append(turn)
            await turn
            self._require_writable()

    async def _submit(self, change: Change) -> None:
        assert self._writer is not None
        self._under_way[change.key] = []
        if change.is_new:
            place = change.kind, change.account
            self._creating[place] = self._creating.get(place, 0) + 1
        # The write takes effect even if the caller is cancelled: others of its group must not suffer.
        if (failure := await self._writer.submit(change)) is not None:
            raise type(failure)(str(failure)) from failure

    def _settle(self, change: Change, failure: StoreError | None) -> None:
        if change.is_new:
            self._created(change.kind, change.account)
        if failure is None:
            self._indexes.setdefault(change.kind, Index()).apply(change)
        for turn in self._under_way.pop(change.key):
            if not turn.done():
                turn.set_result(None)

    def _created(self, *place: str) -> None:
        if (others := self._creating.pop(place) - 1) > 0:
            self._creating[place] = others

    def _rest(self, waiting: bool) -> Callable[[], None] | None:
        """Return the compaction that is due; while somebody waits, only one that can't be put off."""
        for kind, index in self._indexes.items():
            if not self._closing and self._directory.wants_compaction(kind, index, urgently=waiting):
                return partial(self._directory.compact, kind, index)
        return None

    def _index(self, kind: str) -> Index:
        if not self._readable:
            raise StoreError("the store is not open")
        return self._indexes.get(kind) or Index()

    def _require_writable(self) -> None:
        if self._closing or not self._readable:
            raise StoreError("the store is not open")
        if not self.writable:
            raise StoreError("the disk failed earlier: the store is read-only until a restart")
