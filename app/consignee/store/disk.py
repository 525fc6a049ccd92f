"""What it takes for bytes to survive a power cut: write, sync, rename, sync the directory."""

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_UNKNOWN: Final = {errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ESPIPE}


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable: until then, a power cut may undo a creation or a renaming."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path, mode: int = 0o700) -> None:
    """Create the directory `path` durably, and its parents, where absent. Raises OSError."""
    if path.is_dir():
        return
    make_directory(path.absolute().parent, mode)
    new_directory(path, mode, exist_ok=True)
    fsync_directory(path.absolute().parent)


def new_directory(path: Path, mode: int = 0o700, *, exist_ok: bool = False) -> None:
    """Create the directory `path` with exactly that mode, whatever the umask. Raises OSError."""
    path.mkdir(mode=mode, exist_ok=exist_ok)
    path.chmod(mode)


def open_private(path: Path, flags: int) -> int:
    """Return a descriptor of a file, which is made as `new_private` does where absent. Raises OSError."""
    try:
        return new_private(path, flags)
    except FileExistsError:
        return os.open(path, flags | os.O_CLOEXEC)


def new_private(path: Path | str, flags: int = os.O_WRONLY) -> int:
    """Return a descriptor of a new file, which has mode 0600, whatever the umask. Raises OSError."""
    fd = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def sync_data(fd: int) -> None:
    """Return when what was written to `fd`, and its length, is on the disk. Raises OSError."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:  # pragma: no cover - macOS has only fsync
        os.fsync(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, in one call unless the system takes only a part. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def allocate(fd: int, size: int) -> None:
    """Let the file have that many bytes of the disk. Raises OSError if there are not so many left."""
    try:
        os.posix_fallocate(fd, 0, size)
    except (AttributeError, OSError) as error:  # macOS has no such call, and some file systems don't know it
        if isinstance(error, OSError) and error.errno not in _UNKNOWN:
            raise
        write_all(fd, bytes(size))


def is_full(error: OSError) -> bool:
    """Return whether there is no room for what was to be written."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_aside(path: Path, chunks: Iterable[bytes], *, mode: int = 0o600) -> int:
    """Write a new file beside `path` (at `aside(path)`), durably, and return its descriptor, ready to append.

    Raises OSError; then nothing is left of it.
    """
    new = aside(path)
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, mode)
    try:
        os.fchmod(fd, mode)  # a strange umask may have taken away from it what its owner needs
        for chunk in chunks:
            write_all(fd, chunk)
        os.fsync(fd)
    except BaseException:
        os.close(fd)
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    return fd


def aside(path: Path) -> Path:
    """Return where the successor of the file `path` is written until it takes its name."""
    return path.with_name(path.name + ".new")


def put_in_place(path: Path) -> None:
    """Give the file beside `path` its name, durably. Raises OSError; then either may be there later."""
    aside(path).replace(path)
    fsync_directory(path.parent)


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Make `path` hold `data`: whole and durable on return. Raises OSError; then it mostly is as it was."""
    os.close(write_aside(path, [data], mode=mode))
    put_in_place(path)
