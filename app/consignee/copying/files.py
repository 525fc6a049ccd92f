"""Copies the files of result sets, each set under the token that its document names, and each file as it was taken in."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final, cast

from consignee.body import Body
from consignee.copying.ends import Source
from consignee.delivery.intake import SpooledFile
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.result_set import KIND
from consignee.errors import FileDamaged

AT_ONCE: Final = 8
"""How many sets are copied at once."""
_token: ContextVar[str] = ContextVar("token")


def token_of_the_set(_: int) -> bytes:
    """Return the token of the set that is being copied: in place of chance for whatever takes the files in."""
    return bytes.fromhex(_token.get())


@dataclass
class Files:
    """How many files are now where they were copied to, and the bytes in them; what is `missing` is gone, or damaged."""

    count: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Set:
    account: str
    id: str
    token: str
    files: Sequence[SpooledFile]


async def copy_files(source: Source, kept: ResultFiles, target: ResultFiles) -> Files:
    """Copy the files of all result sets of the source; a set that is there and whole is left as it is.

    A set of which a file is not what it was is left out: its deliveries could not send it before either. The target gives out
    `token_of_the_set`. Raises StoreError if either end failed.
    """
    found, tokens, turns = Files(), set[str](), asyncio.Semaphore(AT_ONCE)
    try:
        async with asyncio.TaskGroup() as group:
            async for one in _sets(source):
                tokens.add(one.token)
                await turns.acquire()
                task = group.create_task(_copy(one, kept, target, found))
                task.add_done_callback(lambda _: turns.release())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    await target.sweep(tokens)
    return found


async def _sets(source: Source) -> AsyncIterator[_Set]:
    for kind, account in await source.places():
        if kind == KIND:
            async for document in source.documents(kind, account):
                files = [SpooledFile.from_data(one) for one in document.data["files"]]
                yield _Set(account, document.id, document.data["token"], files)


async def _copy(one: _Set, kept: ResultFiles, target: ResultFiles, found: Files) -> None:
    _token.set(one.token)
    if not await _is_whole(one, target):
        await target.remove(one.token)
        try:
            await _take_in(one, kept, target)
        except _Unreadable:
            found.missing.append(f"result set {one.id}")
            return
    found.count += len(one.files)
    found.bytes += sum(file.size for file in one.files)


class _Unreadable(Exception):
    """A file is not to be had, or not as it was taken in."""


async def _take_in(one: _Set, kept: ResultFiles, target: ResultFiles) -> None:
    stored = kept.stored(one.token, one.files)
    about = {"account": one.account, "collection_id": one.id.partition(".")[0]}
    async with target.intake(**about) as intake:
        for number, file in enumerate(one.files):
            async with aclosing(_readable(stored.body(number))) as chunks:
                if await intake.add(file.name, chunks) != file:
                    raise _Unreadable
        await intake.keep()
    await target.settle(one.token)


async def _readable(body: Body) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(cast("AsyncGenerator[bytes, None]", body.chunks())) as chunks:
            async for chunk in chunks:
                yield chunk
    except (FileDamaged, OSError):
        raise _Unreadable from None


async def _is_whole(one: _Set, target: ResultFiles) -> bool:
    """Return whether the target has all of the set, by reading it."""
    stored = target.stored(one.token, one.files)
    try:
        for number in range(len(one.files)):
            await stored.body(number).verify()
    except (FileDamaged, OSError):
        return False
    return True
