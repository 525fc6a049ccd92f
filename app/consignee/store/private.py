"""What holds customers' data is the operator's alone: files and directories that others may reach are refused."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from consignee.errors import StoreUnusable

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OF_ROOT: Final = _OTHERS & ~stat.S_IRGRP
"""What nobody may do with a file that root hands over: containers get their secrets so, for a group to read."""


def objection(path: Path, *, tree: Path | None = None, handed_over: bool = False) -> str | None:
    """Return what is wrong if others than the user of this process may reach or replace `path`, and how to mend it.

    What mends it does so for all of `tree`. What may be `handed_over` may be root's. Raises OSError.
    """
    found, own = path.stat(), os.geteuid()
    of_root = handed_over and found.st_uid == 0 != own
    where = shlex.quote(str(tree or path))
    if found.st_uid != own and not of_root:
        return f"{path} belongs to user {found.st_uid}, {_advice(found.st_uid, own, where)}"
    forbidden, mending = (_OF_ROOT, "g-wx,o=") if of_root else (_OTHERS, "go=")
    if (mode := stat.S_IMODE(found.st_mode)) & forbidden:
        is_directory = stat.S_ISDIR(found.st_mode)
        again = " (under systemd, set StateDirectoryMode=0700 too)" if is_directory else ""
        whole = "-R " if is_directory or tree else ""
        return f"{path} has mode {mode:04o}, so that others may reach it{again}: chmod {whole}{mending} {where}"
    return None


def _advice(owner: int, own: int, where: str) -> str:
    if own == 0:  # what root then makes, that user's service could not open
        return f"and this runs as root: run it as that user: sudo -u '#{owner}'"
    return f"not to user {own}, as whom this runs: chown -R {own} {where}"


def require_private(*paths: Path, tree: Path | None = None) -> None:
    """Raise StoreUnusable, with how to mend it, for the first that others may reach; one that is not there is fine."""
    for path in paths:
        try:
            wrong = objection(path, tree=tree)
        except FileNotFoundError:
            continue
        if wrong is not None:
            raise StoreUnusable(wrong)


def require_private_tree(directory: Path) -> None:
    """Raise StoreUnusable for the first that others may reach of a directory and all that is in it. Raises OSError."""
    require_private(directory, *_within(directory), tree=directory)


def _within(directory: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(directory):
        yield from (Path(folder, name) for name in (*folders, *files))
