"""What an operation may leave behind in this process: tasks and sockets."""

import asyncio
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Any


def open_sockets() -> set[tuple[int, int]]:
    """Return the sockets that this process holds, each by its descriptor and inode."""
    return {(number, found.st_ino) for number, found in _descriptors() if stat.S_ISSOCK(found.st_mode)}


def _descriptors() -> Iterator[tuple[int, os.stat_result]]:
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):
            yield int(name), os.fstat(int(name))


async def assert_nothing_stays(tasks: set[asyncio.Task[Any]], sockets: set[tuple[int, int]]) -> None:
    """Wait until there is no task and no socket but these; the other end of a connection takes a moment to notice."""
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - tasks or open_sockets() - sockets:
            await asyncio.sleep(0.01)
