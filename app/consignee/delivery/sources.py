"""The files that a program hands over: opened as they are asked for, small ones read ahead together."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from itertools import islice, takewhile
from pathlib import Path

from consignee.body import CHUNK_BYTES
from consignee.delivery.intake import HELD, SMALL_BYTES
from consignee.ending import in_thread

Content = bytes | str | Path | AsyncIterator[bytes]
Source = str | Path | tuple[str, Content]
"""A file by its path, or its name with its content or its path."""


async def opened(files: Iterable[Source]) -> AsyncGenerator[tuple[str, AsyncIterator[bytes]], None]:
    """Yield the name and the content of each file. Raises what reading one raises."""
    # What is made as it is asked for may be gone when the next one is.
    at_once, rest = HELD if isinstance(files, Sequence) else 1, iter(files)
    while window := [_named(file) for file in islice(rest, at_once)]:
        for name, content in await _ahead(window):
            async with aclosing(_chunks(content)) as chunks:  # one that is not read to its end must not stay open
                yield name, chunks


def _named(file: Source) -> tuple[str, Content]:
    if isinstance(file, str):
        return Path(file).name, file
    return (file.name, file) if isinstance(file, Path) else file


async def _ahead(window: Sequence[tuple[str, Content]]) -> Sequence[tuple[str, Content]]:
    """Return the files with those that are small and on the disk in memory, read all in one go."""
    if not any(isinstance(content, str | Path) for _, content in window):
        return window
    return await in_thread(_read, window)


def _read(window: Sequence[tuple[str, Content]]) -> list[tuple[str, Content]]:
    # What is made as it is read may write those that come after it.
    steady = [*takewhile(lambda file: isinstance(file[1], bytes | str | Path), window)]
    read = [(name, _small(content) if isinstance(content, str | Path) else content) for name, content in steady]
    return [*read, *window[len(steady) :]]


def _small(path: str | Path) -> Content:
    """The content of a file, or its path if it is not small, or can't be read: that is told when it is its turn."""
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode) or about.st_size > SMALL_BYTES:
            return path
        with open(path, "rb") as file:  # buffered: one call may bring less than there is
            content = file.read(SMALL_BYTES + 1)
    except OSError:
        return path
    return content if len(content) <= SMALL_BYTES else path


async def _chunks(content: Content) -> AsyncGenerator[bytes, None]:
    if isinstance(content, bytes):
        yield content
    elif isinstance(content, str | Path):
        with await asyncio.to_thread(Path(content).open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
    else:
        async for chunk in content:
            yield chunk
