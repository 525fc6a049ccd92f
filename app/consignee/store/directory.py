"""The directory of a JSON-file store: its lock and its files. All of it blocks: for the writer's thread."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from consignee.errors import StoreError, StoreFull, StoreUnusable
from consignee.store.disk import make_directory, open_private
from consignee.store.index import Change, Index, Share, is_kind
from consignee.store.log_file import Doubtful, LogFile
from consignee.store.private import require_private
from consignee.store.record import encode_header
from consignee.store.replay import replay
from consignee.store.reserve import Reserve

logger = logging.getLogger(__name__)

_LINES_AT_ONCE = 1000
RESTORING: Final = "restoring/spool.json"
"""The note of a backup that is being restored here: as long as it is there, not all of it is."""
COPYING: Final = "copying/note"
"""The same of a store that is being copied here."""


class Directory:
    """One directory with one file for each kind, held by a lock while it is open."""

    def __init__(self, path: Path, *, now: Callable[[], datetime], compact_above: int, reserve: int) -> None:
        self._path = path
        self._now = now
        self._compact_above = compact_above
        self._lock: int | None = None
        self._files: dict[str, LogFile] = {}
        self._not_before: dict[str, int] = {}
        self._reserve = Reserve(path / "reserve", reserve)
        self.doubtful = False
        self.commits = 0

    def open(self) -> dict[str, Index]:
        """Lock the directory and return what its files hold, by kind; raises StoreUnusable."""
        try:
            make_directory(self._path)
            require_private(self._path, self._path / "lock")
            self._lock = take_lock(self._path, "store")
            self._require_whole()
            self._reserve.take()
            return self._load()
        except OSError as error:
            self.close()
            raise StoreUnusable(f"can't use the store in {self._path}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _require_whole(self) -> None:
        if (self._path / RESTORING).exists():
            raise StoreUnusable(f"a backup was restored to {self._path} in part only: repeat consignee restore")
        if (self._path / COPYING).exists():
            raise StoreUnusable(f"a store was copied to {self._path} in part only: repeat consignee store copy")

    def _load(self) -> dict[str, Index]:
        for leftover in self._path.glob("*.jsonl.new"):
            leftover.unlink()
        indexes = {}
        for kind in sorted(filter(is_kind, (path.stem for path in self._path.glob("*.jsonl")))):
            require_private(self._file(kind))
            indexes[kind] = replay(self._file(kind), kind)
            self._files[kind] = LogFile.open(self._file(kind))
        return indexes

    def close(self) -> None:
        """Let go of everything."""
        for file in self._files.values():
            file.close()
        self._files.clear()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def snapshot(self) -> dict[str, tuple[int, int]]:
        """Return a descriptor to read from and the size that is durable, for each kind; raises StoreError."""
        taken: dict[str, tuple[int, int]] = {}
        try:
            for kind, file in self._files.items():
                taken[kind] = file.reopened(), file.size
        except OSError as error:
            for fd, _ in taken.values():
                os.close(fd)
            raise StoreError(f"the files of the store can't be read: {error.strerror}") from error
        return taken

    def commit(self, changes: Sequence[Change]) -> Mapping[Share, StoreError]:
        """Make the changes durable, and return the shares of them of which none was, with why."""
        groups: dict[str, list[Change]] = {}
        for change in changes:
            groups.setdefault(change.kind, []).append(change)
        failures: dict[Share, StoreError] = {}
        for kind, group in groups.items():
            failures |= self._commit(kind, group)
        return failures

    def _commit(self, kind: str, group: Sequence[Change]) -> Mapping[Share, StoreError]:
        if (error := self._written(kind, group)) is None:
            return {}
        removals = [change for change in group if change.removed]
        if isinstance(error, StoreFull) and removals:
            return {(kind, False): error, **self._commit_removals(kind, removals)}
        return {(kind, False): error, (kind, True): error}

    def _commit_removals(self, kind: str, removals: Sequence[Change]) -> Mapping[Share, StoreError]:
        """On a full disk they get what is in reserve, and saves get nothing until that is there again."""
        error = self._written(kind, removals, full=True)
        return {} if error is None else {(kind, True): error}

    def _written(self, kind: str, group: Sequence[Change], *, full: bool = False) -> StoreError | None:
        if self.doubtful:
            return StoreError("the disk failed earlier: the store is read-only until a restart")
        try:
            self._make_room(full=full)
            self._write(kind, b"".join([change.line for change in group]))
        except StoreError as error:
            self._note(error)
            return error
        except Exception:
            self.doubtful = True
            logger.exception("the store failed unexpectedly; it is read-only until a restart")
            return StoreError("the store failed unexpectedly")
        return None

    def _make_room(self, *, full: bool) -> None:
        try:
            if full:
                self._reserve.release()
            elif not self._reserve.take():
                raise StoreFull("the store's disk is full")
        except OSError as error:
            raise StoreError(f"the store's reserve can't be used: {error.strerror}") from error

    def _write(self, kind: str, data: bytes) -> None:
        self.commits += 1
        if (file := self._files.get(kind)) is not None:
            file.append(data)
        else:
            self._files[kind] = LogFile.create(self._file(kind), [self._header(kind), data])

    def _note(self, error: StoreError) -> None:
        self.doubtful = self.doubtful or isinstance(error, Doubtful)
        logger.error("%s%s", error, "; the store is read-only until a restart" if self.doubtful else "")

    def wants_compaction(self, kind: str, index: Index, *, urgently: bool) -> bool:
        """Return whether the file is mostly dead records; `urgently`, whether it is so by far."""
        file = self._files.get(kind)
        least = self._compact_above if self._reserve.held else 0  # on a full disk, what is dead makes room
        if file is None or self.doubtful or file.size <= self._not_before.get(kind, least):
            return False
        return file.size > index.live_bytes * (8 if urgently else 2)

    def compact(self, kind: str, index: Index) -> None:
        """Write the file anew without what is dead; if that fails, the old one stays in use."""
        file = self._files[kind]
        try:
            file.replace(_chunks(self._header(kind), index.lines()))
        except StoreError as error:
            self._note(error)
        except Exception:
            logger.exception("the file of %s could not be compacted", kind)
        # Whether it worked or not: a full disk must not make every save pay for another attempt.
        self._not_before[kind] = file.size + self._compact_above

    def _file(self, kind: str) -> Path:
        return self._path / f"{kind}.jsonl"

    def _header(self, kind: str) -> bytes:
        return encode_header(kind, self._now())


def take_lock(path: Path, what: str) -> int:
    """Return a descriptor that holds the lock of a directory until it is closed; raises StoreUnusable if it is taken."""
    fd = open_private(path / "lock", os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise StoreUnusable(f"the {what} in {path} is in use: only one process may open it") from None
    return fd


def _chunks(header: bytes, lines: Iterable[bytes]) -> Iterable[bytes]:
    yield header
    rest = iter(lines)
    while chunk := b"".join(islice(rest, _LINES_AT_ONCE)):
        yield chunk
