"""Restores a backup again and again, each time killed some steps later: `interrupted.py BACKUP DIRECTORY STRIDE`.

A step is anything that changes names on the disk, or opens a file. Each attempt is a process of its own, in a directory of its
own, ended by SIGKILL. Prints, for each, what an opening then says, and what a repetition leaves, as JSON.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from backups.filled import content_of, settings_of
from consignee.backups.restoring import restore
from consignee.errors import ConsigneeError
from consignee.store.json_file import JsonFileStore

_STEPS = {"open", "os.rename", "os.mkdir", "os.chmod", "os.remove", "os.rmdir"}


def _attempt(backup: Path, place: Path, kill_at: int) -> bool:
    """Restore in a process that is killed at that step; return whether it came to its end before."""
    if (pid := os.fork()) == 0:  # pragma: no cover - what is killed reports nothing
        step = 0

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal step
            if event in _STEPS and any(str(place) in str(argument) for argument in arguments):
                step += 1
                if step == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        asyncio.run(restore(backup, settings_of(place)))
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


async def _said(place: Path) -> str:
    if not (place / "store").is_dir():
        return "nothing"
    store = JsonFileStore(place / "store", reserve=0)
    try:
        await store.open()
        return " ".join(store.kinds()) or "nothing"
    except ConsigneeError as error:
        return str(error)
    finally:
        await store.close()


async def _repeated(backup: Path, place: Path) -> str:
    try:
        await restore(backup, settings_of(place))
    except ConsigneeError as error:
        return str(error)
    return "restored"


def _outcomes(backup: Path, directory: Path, stride: int) -> list[list[Any]]:
    outcomes: list[list[Any]] = []
    step = 1
    while not _attempt(backup, place := directory / str(step), step):
        step += stride
        said, again = asyncio.run(_said(place)), asyncio.run(_repeated(backup, place))
        left = sorted(path.name for path in (place / "store").iterdir() if not path.name.endswith(".jsonl"))
        content = {path: text.hex() for path, text in content_of(place / "store").items()}
        outcomes.append([said, again, left, content])
    return outcomes


if __name__ == "__main__":  # pragma: no branch
    json.dump(_outcomes(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])), sys.stdout)
