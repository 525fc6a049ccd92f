"""Rotates keys in processes of its own, of which each is killed before another of its system calls.

`python -m rotation_victim PRISTINE WORK`: for each number from 0 on, a copy of PRISTINE is made in WORK and the keys are rotated
there by a process that is killed before the system call of that number, until one comes to its end. What that one called is
in WORK/calls.json.
"""

import asyncio
import functools
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from consignee.settings import SecretsSettings
from consignee.store.json_file import JsonFileStore
from vault import rotation_of

CALLS: Final = ("write", "pwrite", "fsync", "fdatasync", "ftruncate", "replace", "rename", "unlink")
FOREVER: Final = 1 << 30


def settings_in(place: Path) -> SecretsSettings:
    """Return where the keys are."""
    return SecretsSettings(key_file=str(place / "keys" / "secret.key"))


def main(pristine: Path, work: Path) -> None:  # pragma: no cover - what is killed reports nothing
    """Kill one after the other, until one ends by itself; exit status 1 if one ends in another way."""
    for number in itertools.count():
        shutil.copytree(pristine, work / str(number))
        if (pid := os.fork()) == 0:
            _end_as_told(work / str(number), number, work / "calls.json")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status != -signal.SIGKILL:
            sys.exit(status)


def _end_as_told(place: Path, number: int, report: Path) -> None:  # pragma: no cover
    calls: list[tuple[str, str]] = []
    for name in CALLS:
        setattr(os, name, functools.partial(_counted, name, getattr(os, name), calls, number))
    asyncio.run(rotate(place))
    text = json.dumps(calls)
    calls.clear()
    report.write_text(text)
    os._exit(0)


def _counted(
    name: str,
    call: Callable[..., Any],
    calls: list[tuple[str, str]],
    number: int,
    target: Any,
    *arguments: Any,
    **more: Any,
) -> Any:  # pragma: no cover
    path = (
        os.readlink(f"/proc/self/fd/{target}")
        if isinstance(target, int)
        else str(arguments[0] if arguments else target)
    )
    # The loop wakes itself by writing into a pipe or a socket.
    if path.startswith("/"):
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        calls.append((name, Path(path).name))
    return call(target, *arguments, **more)


async def rotate(place: Path) -> None:  # pragma: no cover
    """Rotate the keys of the store there."""
    store = JsonFileStore(place / "store")
    await store.open()
    try:
        rotation, _ = await rotation_of(store, settings_in(place))
        await rotation.rotate()
    finally:
        await store.close()


if __name__ == "__main__":  # pragma: no cover
    main(Path(sys.argv[1]), Path(sys.argv[2]))
