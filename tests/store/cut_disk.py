"""A small disk in a file, whose power can be cut: needs root, loop devices and the tools of ext4 and XFS."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN, as in the kernel's headers: they are the same number
_NO_LOG_FLUSH = 2


@dataclass(frozen=True)
class Kind:
    """A file system: how it is made, and how big the disk must be for it, in MiB."""

    name: str
    make: tuple[str, ...]
    size: int
    repair: tuple[str, ...] = ()
    """What a start after a cut would do first; a journal needs nothing."""


EXT4 = Kind("ext4", ("mkfs.ext4", "-q", "-F"), 32)
XFS = Kind("xfs", ("mkfs.xfs", "-q", "-f"), 300)
UNJOURNALED = Kind("ext4", ("mkfs.ext4", "-q", "-F", "-O", "^has_journal"), 32, repair=("e2fsck", "-fy"))


def why_not(directory: Path, kind: Kind) -> str | None:
    """Return why no such disk can be had here, or None; `directory` is for a trial."""
    if os.geteuid() != 0:
        return "not root"
    tools = (kind.make[0], *kind.repair[:1], "losetup", "mount")
    if missing := [tool for tool in tools if shutil.which(tool) is None]:
        return f"{missing[0]} is not installed"
    try:
        with CutDisk(directory, kind).mounted():
            return None
    except OSError as error:
        return str(error)


class CutDisk:
    """A file system that loses, at a cut, all that was not yet handed to the disk."""

    def __init__(self, directory: Path, kind: Kind) -> None:
        self._image = directory / "image"
        self._kind = kind
        self.path = directory / "mounted"
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(kind.size << 20)
        _run(*kind.make, str(self._image))

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Mount the disk, on a loop device of its own; unmount it and free the device in the end."""
        loop = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", "-t", self._kind.name, loop, str(self.path))
            try:
                yield
            finally:
                _run("umount", str(self.path))
        finally:
            _run("losetup", "--detach", loop)

    def cut(self) -> Path:
        """Cut the power of the mounted disk; return a copy of what had reached it by then."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(fd)
        # Unmounting would still write out the buffers of the dead file system: what counts is what is there now.
        copy = self._image.with_name("image.cut")
        _run("cp", "--sparse=always", str(self._image), str(copy))
        return copy

    def restore(self, copy: Path) -> None:
        """Go on from the copy, repaired if its file system needs that after a cut."""
        copy.replace(self._image)
        if self._kind.repair:
            # 1: it found errors and mended them.
            _run(*self._kind.repair, str(self._image), allowed=(0, 1))


def _run(*command: str, allowed: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise OSError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout
