"""Reads a file of the store back into memory, and refuses one that was damaged."""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from consignee.errors import StoreUnusable
from consignee.store.index import Index
from consignee.store.record import NewerFormat, check_header, parse_parts, revision_in

logger = logging.getLogger(__name__)

_READ_AT_ONCE: Final = 1024 * 1024
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
    with path.open("rb", buffering=_READ_AT_ONCE) as file:
        _check_header(path, file.readline(), kind)
        for number, line in enumerate(file, 2):
            try:
                account, id_, revision, removed = parse_parts(line)
            except ValueError as error:
                _cut_off(path, number, line, error)  # or it raises: then it is not torn
                break
            before = index.drop(account, id_) if removed else index.put(account, id_, line)
            if before is not None and revision <= revision_in(before):
                why = f"revision {revision} of {id_!r} follows revision {revision_in(before)}"
                raise StoreUnusable(_DAMAGED.format(path=path, number=number, why=why))
    return index


def _check_header(path: Path, line: bytes, kind: str) -> None:
    if not line:
        raise StoreUnusable(_NO_HEADER.format(path=path, why="the file is empty"))
    try:
        check_header(line, kind)
    except NewerFormat as error:
        raise StoreUnusable(_NEWER.format(path=path, why=error)) from None
    except ValueError as error:
        raise StoreUnusable(_NO_HEADER.format(path=path, why=error)) from None


def _cut_off(path: Path, number: int, line: bytes, error: ValueError) -> None:
    if line.endswith(b"\n"):
        raise StoreUnusable(_DAMAGED.format(path=path, number=number, why=f"the record is damaged: {error}")) from None
    _check_torn(path, number, line)
    # If a power cut undoes this, the next start does it again; what is appended is synced with it.
    os.truncate(path, path.stat().st_size - len(line))
    logger.warning("%s: the last %d bytes were a record cut short by a crash; they were removed", path, len(line))


def _check_torn(path: Path, number: int, line: bytes) -> None:
    """Refuse a record that is whole but for its newline: a cut alters no byte, so it was damaged later."""
    with suppress(ValueError):
        parse_parts(line[:-1] + b"\n")
        raise StoreUnusable(
            _DAMAGED.format(path=path, number=number, why="the newline after the record was altered")
        ) from None
