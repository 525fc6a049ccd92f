"""What goes into a backup: the logs as they are between two commits, and the files of the result sets in them."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from consignee.backups.archive import Source, archived
from consignee.clock import timestamp
from consignee.delivery.result_set import KIND as RESULT_SETS
from consignee.errors import StoreError
from consignee.store import Store
from consignee.store.json_file import JsonFileStore
from consignee.store.record import decode_document, parse_record

_Sizes = tuple[int, ...]


@dataclass(frozen=True)
class _Log:
    """The file of one kind: its first `size` bytes never change."""

    fd: int
    size: int

    def open(self) -> BinaryIO:
        file = os.fdopen(os.dup(self.fd), "rb")
        file.seek(0)
        return file


@asynccontextmanager
async def backed_up(store: Store, *, spool: Path | None, version: str, now: datetime) -> AsyncIterator[Iterator[bytes]]:
    """Yield the pieces of a backup of an open store as it is now; they block.

    They may be read while the store is written to, and after it is closed. With a `spool`, they hold the files of its result sets
    too, except those that are gone, or not as long as they were, when it is their turn. Raises StoreError, also while they are
    read.
    """
    if not isinstance(store, JsonFileStore):
        raise StoreError("only a store in files can be backed up")
    with contextlib.ExitStack() as stack:
        logs: dict[str, _Log] = {}
        for kind, (fd, size) in (await store.snapshot()).items():
            stack.callback(os.close, fd)
            logs[kind] = _Log(fd, size)
        about = {"consignee": version, "created_at": timestamp(now), "files": spool is not None}
        yield archived(_sources(logs, spool), about)


def _sources(logs: dict[str, _Log], spool: Path | None) -> Iterator[Source]:
    for kind, log in sorted(logs.items()):
        yield Source(f"store/{kind}.jsonl", log.size, log.open)
    if spool is not None and RESULT_SETS in logs:
        for token, sizes in _result_sets(logs[RESULT_SETS]).values():
            for number, size in enumerate(sizes):
                path = spool / "kept" / token / str(number)
                yield Source(f"spool/{token}/{number}", size, partial(_open_whole, path, size))


def _open_whole(path: Path, size: int) -> BinaryIO | None:
    """One file that is lost must not be the end of every backup for as long as its result set is known."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    if os.fstat(file.fileno()).st_size == size:
        return file
    file.close()
    return None


def _result_sets(log: _Log) -> dict[tuple[str, str], tuple[str, _Sizes]]:
    """Return the token and the files' sizes of each result set, by account and id; no more of them is held in memory."""
    found: dict[tuple[str, str], tuple[str, _Sizes]] = {}
    for line in _records(log):
        record = parse_record(line)
        if record.removed:
            found.pop((record.account, record.id), None)
        else:
            data: Any = decode_document(line).data
            found[record.account, record.id] = data["token"], tuple(file["size"] for file in data["files"])
    return found


def _records(log: _Log) -> Iterator[bytes]:
    with log.open() as file:
        left = log.size - len(file.readline())
        while left > 0:
            line = file.readline()
            left -= len(line)
            yield line
