"""Copies a store again and again, each time killed some steps later: `interrupted.py DIRECTORY STRIDE`.

A step is anything that changes names on the disk, or opens a file. Each attempt is a process of its own, to a directory of its
own, ended by SIGKILL. Prints, for each, what an opening then says, what a repetition says, and whether all is there then.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from consignee.copying.opening import copy_store
from consignee.errors import ConsigneeError
from consignee.settings import Settings
from consignee.store.json_file import JsonFileStore
from copying.stores import content_of, fill, kept_in, settings_of

_STEPS = {"open", "os.rename", "os.mkdir", "os.chmod", "os.remove", "os.rmdir"}


def _attempt(old: Settings, new: Settings, kill_at: int) -> bool:
    """Copy in a process that is killed at that step; return whether it came to its end before."""
    if (pid := os.fork()) == 0:  # pragma: no cover - what is killed reports nothing
        step = 0

        def count(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal step
            if event in _STEPS and any(new.store.path in str(argument) for argument in arguments):
                step += 1
                if step == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        asyncio.run(copy_store(old, new))
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


async def _said(settings: Settings) -> str:
    if not Path(settings.store.path).is_dir():
        return "nothing"
    store = JsonFileStore(Path(settings.store.path), reserve=0)
    try:
        await store.open()
        return " ".join(store.kinds()) or "nothing"
    except ConsigneeError as error:
        return str(error)
    finally:
        await store.close()


async def _repeated(old: Settings, new: Settings) -> str:
    try:
        await copy_store(old, new)
    except ConsigneeError as error:
        return str(error)
    return "copied"


async def _is_same(old: Settings, new: Settings) -> bool:
    spools = [kept_in(Path(one.store.path) / "spool") for one in (old, new)]
    return spools[0] == spools[1] and await content_of(old) == await content_of(new)


def _outcomes(directory: Path, stride: int) -> list[list[Any]]:
    outcomes: list[list[Any]] = []
    asyncio.run(fill(old := settings_of(directory / "old"), large=False))
    step = 1
    while not _attempt(old, new := settings_of(directory / str(step)), step):
        step += stride
        outcomes.append([asyncio.run(_said(new)), asyncio.run(_repeated(old, new)), asyncio.run(_is_same(old, new))])
    return outcomes


if __name__ == "__main__":  # pragma: no branch
    json.dump(_outcomes(Path(sys.argv[1]), int(sys.argv[2])), sys.stdout)
