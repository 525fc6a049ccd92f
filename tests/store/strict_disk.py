"""A disk on which nothing is but what was synced: what a power cut may leave by the letter of POSIX, if not on each file system.

Content is as it was when its file was synced last, names as they were when their directory was. `os.sync` syncs all.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class _Kept:
    """What is on the disk of one file or directory."""

    content: bytes = b""
    names: dict[str, tuple[int, bool]] = field(default_factory=dict)


class StrictDisk:
    """Watches what a process does in the directory `root`, and makes of it what a cut would leave."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = itertools.count(1 << 40)
        self._known: dict[int, int] = {}
        """A number for each inode: the system gives those of removed files out again."""
        self._kept: dict[int, _Kept] = {}

    def install(self) -> None:
        """Watch from now on."""
        self._after("fsync", lambda _, fd: self._synced(Path(os.readlink(f"/proc/self/fd/{fd}"))))
        self._after("fdatasync", lambda _, fd: self._synced(Path(os.readlink(f"/proc/self/fd/{fd}"))))
        self._after("sync", lambda _: self._all_synced())
        self._after("open", self._opened)
        self._after("mkdir", lambda _, path, *__, **___: self._new(Path(path)))

    def _after(self, name: str, note: Callable[..., None]) -> None:
        original = getattr(os, name)

        def called(*arguments: Any, **more: Any) -> Any:
            result = original(*arguments, **more)
            note(result, *arguments, **more)
            return result

        setattr(os, name, called)

    def _opened(self, fd: int, path: Any, flags: int, *_: Any, **__: Any) -> None:
        if flags & os.O_EXCL:
            self._new(Path(os.readlink(f"/proc/self/fd/{fd}")))

    def _new(self, path: Path) -> None:
        if path.is_relative_to(self._root):
            self._known[path.stat().st_ino] = next(self._numbers)

    def _number(self, inode: int) -> int:
        return self._known.get(inode, inode)

    def _synced(self, path: Path) -> None:
        kept = self._kept.setdefault(self._number(path.stat().st_ino), _Kept())
        if path.is_dir():
            kept.names = {one.name: (self._number(one.inode()), one.is_dir()) for one in os.scandir(path)}
        else:
            kept.content = path.read_bytes()

    def _all_synced(self) -> None:
        for path in (self._root, *self._root.rglob("*")):
            self._synced(path)

    def cut(self, copy: Path) -> None:
        """Make `copy` a directory with what is on the disk; raises FileExistsError if a directory has two names."""
        self._restore(self._number(self._root.stat().st_ino), copy, set())

    def _restore(self, number: int, copy: Path, seen: set[int]) -> None:
        copy.mkdir(mode=0o700)
        for name, (inner, is_directory) in self._kept.get(number, _Kept()).names.items():
            if not is_directory:
                (copy / name).touch(0o600)
                (copy / name).write_bytes(self._kept.get(inner, _Kept()).content)
            elif inner in seen:
                raise FileExistsError(name)
            else:
                seen.add(inner)
                self._restore(inner, copy / name, seen)
