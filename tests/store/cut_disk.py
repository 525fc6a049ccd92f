"""A small disk in a file, whose power can be cut: needs root, loop devices and mkfs.ext4."""

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, as in the kernel's include/uapi/linux/ext4.h
_NO_LOG_FLUSH = 2
_BYTES = 32 << 20


def why_not(directory: Path) -> str | None:
    """Return why no such disk can be had here, or None; `directory` is for a trial."""
    if os.geteuid() != 0:
        return "not root"
    if missing := [tool for tool in ("mkfs.ext4", "e2fsck", "losetup", "mount") if shutil.which(tool) is None]:
        return f"{missing[0]} is not installed"
    try:
        with CutDisk(directory).mounted():
            return None
    except OSError as error:
        return str(error)


class CutDisk:
    """An ext4 file system that loses, at a cut, all that was not yet handed to the disk."""

    def __init__(self, directory: Path, *, journal: bool = True) -> None:
        self._image = directory / "image"
        self._journal = journal
        self.path = directory / "mounted"
        self.path.mkdir()
        with self._image.open("wb") as image:
            image.truncate(_BYTES)
        options = [] if journal else ["-O", "^has_journal"]
        _run("mkfs.ext4", "-q", "-F", *options, str(self._image))

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Mount the disk, on a loop device of its own; unmount it and free the device in the end."""
        loop = _run("losetup", "--find", "--show", str(self._image)).strip()
        try:
            _run("mount", "-t", "ext4", loop, str(self.path))
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
        return Path(shutil.copyfile(self._image, self._image.with_name("image.cut")))

    def restore(self, copy: Path) -> None:
        """Go on from the copy; without a journal, the file system is repaired first, as any start after a cut would."""
        copy.replace(self._image)
        if not self._journal:
            # 1: it found errors and mended them.
            _run("e2fsck", "-fy", str(self._image), allowed=(0, 1))


def _run(*command: str, allowed: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise OSError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout
