"""Stands between a process and the calls by which it changes what is in a directory: counts them, and can make one fail.

Only the functions of `os` are watched: that the store and the spool use no others is shown by a trace of the system calls.
"""

import os
import signal
from collections.abc import Callable
from errno import EIO, ENOSPC
from pathlib import Path
from typing import Any, Final

BY_DESCRIPTOR: Final = ("write", "fsync", "fdatasync", "ftruncate", "fchmod", "posix_fallocate")
BY_PATH: Final = ("rename", "replace", "unlink", "rmdir", "mkdir", "truncate", "chmod", "link")
FAULTS: Final = {"EIO": EIO, "ENOSPC": ENOSPC}


class Interposed:
    """Watches what is in `root`. The call of number `fault_at`, from 0, fails with `fault`, or the process is killed there."""

    def __init__(self, root: Path, *, fault_at: int = -1, fault: str = "") -> None:
        self.calls: list[str] = []
        self._root = str(root)
        self._fault_at = fault_at
        self._fault = fault

    def install(self) -> None:
        """Stand there until the process ends."""
        for name in BY_DESCRIPTOR:
            self._wrap(name, lambda fd, *_, **__: os.readlink(f"/proc/self/fd/{fd}"))
        for name in BY_PATH:
            self._wrap(name, self._place)
        self._wrap("open", self._created)

    def _wrap(self, name: str, place: Callable[..., str]) -> None:
        original = getattr(os, name)

        def called(*arguments: Any, **more: Any) -> Any:
            if (where := place(*arguments, **more)).startswith(self._root):
                self._note(name, where)
            return original(*arguments, **more)

        setattr(os, name, called)

    @staticmethod
    def _place(path: Any, *_: Any, dir_fd: int | None = None, **__: Any) -> str:
        above = "" if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
        return os.path.join(above, os.fspath(path))

    def _created(self, path: Any, flags: int, *_: Any, dir_fd: int | None = None, **__: Any) -> str:
        return self._place(path, dir_fd=dir_fd) if flags & (os.O_CREAT | os.O_TRUNC) else ""

    def _note(self, name: str, where: str) -> None:
        self.calls.append(f"{name} {where.removeprefix(self._root)}")
        if len(self.calls) - 1 != self._fault_at:
            return
        if self._fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(FAULTS[self._fault], os.strerror(FAULTS[self._fault]))
