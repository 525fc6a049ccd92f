"""Reads a file of the store back into memory, and refuses one that was damaged."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from consignee.errors import StoreUnusable
from consignee.store.index import Change, Index
from consignee.store.record import NewerFormat, check_header, parse_record

logger = logging.getLogger(__name__)

_DAMAGED = (
    "{path}, line {number}: {why}. Nothing was changed. Restore this file from a backup; or, to go on without"
    " what that line said, keep a copy of the file, delete that line from it, and start again."
)
_NO_HEADER = "{path}, line 1: {why}. Nothing was changed. Restore this file from a backup."
_NEWER = "{path}, line 1: {why}. Start that version again, or restore a backup from before the upgrade."


def replay(path: Path, kind: str) -> Index:
    """Return what the file holds. A torn last line, never reported as saved, is cut off with a warning.

    Raises StoreUnusable naming file and line for anything else that is wrong, OSError if it can't be read.
    """
    index = Index()
    end = 0
    for number, line in _lines(path):
        if number == 1:
            _take_header(path, line, kind)
        elif not line.endswith(b"\n"):
            _check_torn(path, number, line)
            _cut(path, end, torn=len(line))
            break
        else:
            _take_record(index, path, number, line, kind)
        end += len(line)
    if end == 0:
        raise StoreUnusable(_NO_HEADER.format(path=path, why="the file is empty"))
    return index


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        yield from enumerate(file, 1)


def _take_header(path: Path, line: bytes, kind: str) -> None:
    try:
        check_header(line, kind)
    except NewerFormat as error:
        raise StoreUnusable(_NEWER.format(path=path, why=error)) from None
    except ValueError as error:
        raise StoreUnusable(_NO_HEADER.format(path=path, why=error)) from None


def _take_record(index: Index, path: Path, number: int, line: bytes, kind: str) -> None:
    try:
        record = parse_record(line)
    except ValueError as error:
        raise StoreUnusable(_DAMAGED.format(path=path, number=number, why=f"the record is damaged: {error}")) from None
    before = index.revision(record.account, record.id)
    if record.revision <= before:
        why = f"revision {record.revision} of {record.id!r} follows revision {before}"
        raise StoreUnusable(_DAMAGED.format(path=path, number=number, why=why))
    index.apply(Change(kind, record.account, record.id, record.revision, line, record.removed))


def _check_torn(path: Path, number: int, line: bytes) -> None:
    """Refuse a record that is whole but for its newline: a cut alters no byte, so it was damaged later."""
    try:
        parse_record(line[:-1] + b"\n")
    except ValueError:
        return
    raise StoreUnusable(_DAMAGED.format(path=path, number=number, why="the newline after the record was altered"))


def _cut(path: Path, end: int, *, torn: int) -> None:
    os.truncate(
        path, end
    )  # if a power cut undoes this, the next start does it again; what is appended is synced with it
    logger.warning("%s: the last %d bytes were a record cut short by a crash; they were removed", path, torn)
