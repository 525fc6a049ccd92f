"""One file that is only ever appended to, until a compacted one takes its place."""

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from consignee.errors import StoreError, StoreFull
from consignee.store.disk import aside, is_full, put_in_place, sync_data, write_all, write_aside


class Doubtful(StoreError):
    """The disk failed, and nobody knows what is on it now: nothing more may be written until a restart."""


class LogFile:
    """An open file of records; all methods block."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd
        self.size = os.fstat(fd).st_size

    @classmethod
    def open(cls, path: Path) -> "LogFile":
        """Open a file that was replayed; raises OSError."""
        return cls(path, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))

    @classmethod
    def create(cls, path: Path, chunks: Iterable[bytes]) -> "LogFile":
        """Create the file with its first records, whole and durable; raises StoreError, Doubtful."""
        fd = _write(path, chunks)
        try:
            put_in_place(path)
        except OSError as error:
            os.close(fd)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise Doubtful(_failed(path, error)) from error
        return cls(path, fd)

    def append(self, data: bytes) -> None:
        """Return when `data` is durable. Raises StoreError if it was all taken back, or Doubtful."""
        try:
            write_all(self._fd, data)
        except OSError as error:
            self._cut_back(error)
            raise _refusal(self._path, error) from error
        try:
            sync_data(self._fd)
        except OSError as error:
            # The system may have dropped the pages: a second sync could succeed though nothing was written.
            self._cut_back(error)
            raise Doubtful(_failed(self._path, error)) from error
        self.size += len(data)

    def _cut_back(self, cause: OSError) -> None:
        try:
            os.ftruncate(self._fd, self.size)
            sync_data(self._fd)
        except OSError:
            raise Doubtful(_failed(self._path, cause)) from cause

    def replace(self, chunks: Iterable[bytes]) -> None:
        """Put a new file with `chunks` in its place. Raises StoreError if this one stays, or Doubtful."""
        fd = _write(self._path, chunks)
        try:
            put_in_place(self._path)
        except OSError as error:
            os.close(fd)
            raise Doubtful(_failed(self._path, error)) from error
        os.close(self._fd)
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def reopened(self) -> int:
        """Return a descriptor to read this file from; raises OSError."""
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        if not os.path.sameopenfile(fd, self._fd):
            os.close(fd)
            raise OSError(errno.ESTALE, "another file took its name")
        return fd

    def close(self) -> None:
        """Let the file go."""
        os.close(self._fd)


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    try:
        return write_aside(path, chunks)
    except OSError as error:
        raise _refusal(aside(path), error) from error


def _refusal(path: Path, error: OSError) -> StoreError:
    return StoreFull(_failed(path, error)) if is_full(error) else StoreError(_failed(path, error))


def _failed(path: Path, error: OSError) -> str:
    return f"could not write to {path}: {error.strerror}"
