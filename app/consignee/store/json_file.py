"""The default store: JSON lines in one directory, one file for each kind, all of it in memory too."""

import asyncio
import builtins
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from consignee.errors import StoreError, StoreUnusable
from consignee.store import Data, Document, Store
from consignee.store.directory import Directory
from consignee.store.index import Change, Index, check_kind, judge, judge_limit, judge_removal
from consignee.store.record import decode_document, encode_record
from consignee.store.writer import Answer, Writer

COMPACT_ABOVE: Final = 1024 * 1024
RESERVE: Final = 1024 * 1024
"""Bytes: room for some thousand removals."""

_Key = tuple[str, str, str]


def _now() -> datetime:
    return datetime.now(UTC)


class JsonFileStore(Store):
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
        self._under_way: dict[_Key, Answer] = {}
        self._creating: Counter[tuple[str, str]] = Counter()
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

    def kinds(self) -> list[str]:
        return sorted(self._indexes)

    async def accounts(self, kind: str) -> list[str]:
        return self._index(kind).accounts()

    async def get(self, kind: str, account: str, id: str) -> Document | None:  # noqa: A002
        return self._index(kind).get(account, id)

    async def list(self, kind: str, account: str, *, prefix: str = "") -> list[Document]:
        return self._index(kind).list(account, prefix)

    async def ids(self, kind: str, account: str, *, prefix: str = "") -> builtins.list[str]:
        return self._index(kind).ids(account, prefix)

    async def count(self, kind: str, account: str) -> int:
        return self._index(kind).count(account)

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
        check_kind(kind)
        change = Change(kind, account, id, replaces + 1, encode_record(account, id, replaces + 1, data))
        revision = await self._settled_revision(change)
        judge(revision, replaces=replaces)
        if revision == 0:
            judge_limit(self._index(kind).count(account) + self._creating[kind, account], limit)
        await self._submit(change)
        return decode_document(change.line)

    async def remove(self, kind: str, account: str, id: str, *, replaces: int) -> None:  # noqa: A002
        line = encode_record(account, id, replaces + 1, None)
        change = Change(kind, account, id, replaces + 1, line, removed=True)
        judge_removal(await self._settled_revision(change), replaces=replaces)
        await self._submit(change)

    async def _settled_revision(self, change: Change) -> int:
        """Return the document's revision once nothing of it is under way; submit before the next await."""
        self._require_writable()
        while (answer := self._under_way.get(_key(change))) is not None:
            await asyncio.wait([answer])
            self._require_writable()
        return self._index(change.kind).revision(change.account, change.id)

    async def _submit(self, change: Change) -> None:
        assert self._writer is not None
        answer = self._writer.submit(change)
        self._under_way[_key(change)] = answer
        self._creating[change.kind, change.account] += change.is_new
        # The write takes effect even if the caller is cancelled: others of its group must not suffer.
        if (failure := await asyncio.shield(answer)) is not None:
            raise type(failure)(str(failure)) from failure

    def _settle(self, change: Change, failure: StoreError | None) -> None:
        del self._under_way[_key(change)]
        self._creating[change.kind, change.account] -= change.is_new
        if failure is None:
            self._indexes.setdefault(change.kind, Index()).apply(change)

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


def _key(change: Change) -> _Key:
    return change.kind, change.account, change.id
