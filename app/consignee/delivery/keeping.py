"""Keeping: sets become durable in groups, so that many small ones need few changes of thread and few syncs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from consignee.delivery.folder import Folder
from consignee.delivery.writing import Disk, told
from consignee.ending import ended
from consignee.store.disk import fsync_directory

GROUPS: Final = 3
"""How many groups are written at once: syncs of several share what the disk does."""
FILES: Final = 48
"""How many files of a group are open at once, if more than one set is in it."""


class _Set(NamedTuple):
    """A set that is to be kept, with those of its files that are still to be written."""

    folder: Folder
    files: Mapping[int, bytes]
    answer: "asyncio.Future[Exception | None]"


class Keeping:
    """Moves folders to where they are kept. All who ask while others are being moved are the next group."""

    def __init__(self, disk: Disk, *, incoming: Path, kept: Path) -> None:
        self._disk = disk
        self._places = (kept, incoming)
        self._waiting: list[_Set] = []
        self._groups = 0

    async def keep(self, folder: Folder, files: Mapping[int, bytes]) -> None:
        """Write these files and move the folder; on return all of it is durable. Raises StoreError.

        A cancellation waits for the end of that.
        """
        answer: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Set(folder, files, answer))
        self._next()
        cancelled = await ended(answer)
        if cancelled is not None:
            raise cancelled
        if (failure := answer.result()) is not None:
            raise told(failure) from failure

    def _next(self) -> None:
        while self._waiting and self._groups < GROUPS:
            group = self._group()
            try:
                job = asyncio.get_running_loop().run_in_executor(self._disk.executor, _kept, group, self._places)
            except RuntimeError as error:  # there is no thread to be had
                _answer(group, [error] * len(group))
            else:
                self._groups += 1
                job.add_done_callback(partial(self._ended, group))

    def _group(self) -> list[_Set]:
        count = files = 0
        for each in self._waiting:
            files += len(each.files) + 1
            if count and files > FILES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    def _ended(self, group: Sequence[_Set], job: "asyncio.Future[list[Exception | None]]") -> None:
        self._groups -= 1
        _answer(group, job.result())
        self._next()


def _answer(group: Sequence[_Set], failures: Sequence[Exception | None]) -> None:
    for each, failure in zip(group, failures, strict=True):
        each.answer.set_result(failure)


def _kept(group: Sequence[_Set], places: tuple[Path, Path]) -> list[Exception | None]:
    """Take every step for all sets before the next one, and the last one once; return what went wrong with each set."""
    failures: list[Exception | None] = [None] * len(group)

    def step(take: Callable[[_Set], None]) -> None:
        for number, each in enumerate(group):
            if failures[number] is None:
                failures[number] = _failure(partial(take, each))

    step(lambda each: each.folder.write(each.files))
    step(lambda each: each.folder.sync())
    step(lambda each: each.folder.move())
    if None in failures:
        last = _failure(partial(_sync, *places))
        failures = [failure or last for failure in failures]
    return failures


def _sync(kept: Path, incoming: Path) -> None:
    fsync_directory(kept)
    fsync_directory(incoming)


def _failure(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for that set
        return error
    return None
