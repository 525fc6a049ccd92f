"""What holds customers' data is the operator's alone: files and directories that others may reach are refused."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from consignee.errors import StoreUnusable

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def objection(path: Path) -> str | None:
    """Return what is wrong if others than the user of this process may reach or replace `path`, and how to mend it.

    Raises OSError.
    """
    found = path.stat()
    where = shlex.quote(str(path))
    if found.st_uid != (own := os.geteuid()):
        return f"{path} belongs to user {found.st_uid}, not to user {own}, as whom this runs: chown -R {own} {where}"
    if (mode := stat.S_IMODE(found.st_mode)) & _OTHERS:
        whole = "-R " if stat.S_ISDIR(found.st_mode) else ""
        return f"{path} has mode {mode:04o}, so that others may reach it: chmod {whole}go= {where}"
    return None


def require_private(*paths: Path) -> None:
    """Raise StoreUnusable, with how to mend it, for the first that others may reach; one that is not there is fine."""
    for path in paths:
        try:
            wrong = objection(path)
        except FileNotFoundError:
            continue
        if wrong is not None:
            raise StoreUnusable(wrong)


def require_private_tree(directory: Path) -> None:
    """Raise StoreUnusable for the first that others may reach of a directory and all that is in it. Raises OSError."""
    require_private(directory, *_within(directory))


def _within(directory: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(directory):
        yield from (Path(folder, name) for name in (*folders, *files))
