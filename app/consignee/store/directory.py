"""The directory of a JSON-file store: its lock and its files. All of it blocks: for the writer's thread."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from consignee.errors import StoreError, StoreUnusable
from consignee.store.disk import make_directory
from consignee.store.index import Change, Index, is_kind
from consignee.store.log_file import Doubtful, LogFile
from consignee.store.record import encode_header
from consignee.store.replay import replay

logger = logging.getLogger(__name__)

_LINES_AT_ONCE = 1000


class Directory:
    """One directory with one file for each kind, held by a lock while it is open."""

    def __init__(self, path: Path, *, now: Callable[[], datetime], compact_above: int) -> None:
        self._path = path
        self._now = now
        self._compact_above = compact_above
        self._lock: int | None = None
        self._files: dict[str, LogFile] = {}
        self._not_before: dict[str, int] = {}
        self.doubtful = False
        self.commits = 0

    def open(self) -> dict[str, Index]:
        """Lock the directory and return what its files hold, by kind; raises StoreUnusable."""
        try:
            make_directory(self._path)
            self._lock = take_lock(self._path, "store")
            return self._load()
        except OSError as error:
            self.close()
            raise StoreUnusable(f"can't use the store in {self._path}: {error}") from error
        except BaseException:
            self.close()
            raise

    def _load(self) -> dict[str, Index]:
        for leftover in self._path.glob("*.jsonl.new"):
            leftover.unlink()
        indexes = {}
        for kind in sorted(filter(is_kind, (path.stem for path in self._path.glob("*.jsonl")))):
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

    def commit(self, changes: Sequence[Change]) -> Mapping[str, StoreError]:
        """Make the changes durable, and return the kinds of which none was, with why."""
        lines: dict[str, list[bytes]] = {}
        for change in changes:
            lines.setdefault(change.kind, []).append(change.line)
        return {kind: error for kind in lines if (error := self._commit(kind, lines[kind])) is not None}

    def _commit(self, kind: str, lines: Sequence[bytes]) -> StoreError | None:
        if self.doubtful:
            return StoreError("the disk failed earlier: the store is read-only until a restart")
        try:
            self._write(kind, b"".join(lines))
        except StoreError as error:
            self._note(error)
            return error
        except Exception:
            self.doubtful = True
            logger.exception("the store failed unexpectedly; it is read-only until a restart")
            return StoreError("the store failed unexpectedly")
        return None

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
        if file is None or self.doubtful or file.size <= self._not_before.get(kind, self._compact_above):
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
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
