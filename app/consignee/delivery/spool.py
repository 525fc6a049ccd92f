"""Spool: the files of result sets on this machine's disk, from their arrival until no delivery needs them any more.

    incoming/TOKEN/0, 1, 2      being received, or being removed; emptied at the start
    kept/TOKEN/0, 1, 2          whole and durable
    …/TOKEN/0.sections          the digests of the parts of a large one

Files are stored under their numbers, never under customers' names. Only one process may use a spool: the store's lock sees to it,
or, with a store that several processes share, `alone`.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from consignee.body import Body, FileBody
from consignee.delivery.claiming import SPOOLS, STAGED
from consignee.delivery.contents import read_whole
from consignee.delivery.file_names import Names
from consignee.delivery.folder import Folder
from consignee.delivery.intake import Intake, Limits, SpooledFile
from consignee.delivery.keeping import Keeping
from consignee.delivery.result_files import ResultFiles, Stored, is_token
from consignee.delivery.spool_intake import SpoolIntake
from consignee.delivery.writing import Disk
from consignee.ending import in_thread
from consignee.errors import StoreError, StoreUnusable
from consignee.settings import Settings
from consignee.store.directory import take_lock
from consignee.store.disk import fsync_directory, make_directory, write_durably
from consignee.store.private import require_private, require_private_tree

__all__ = ["SPOOLS", "Intake", "Spool", "SpooledFile", "spool_directory"]

logger = logging.getLogger(__name__)


def spool_directory(settings: Settings) -> Path:
    """Return where the files of result sets are, as the settings say."""
    return Path(settings.delivery.spool or Path(settings.store.path) / "spool")


class Spool(ResultFiles):
    """The files of result sets in one directory; `most_bytes` is over all files of a result set.

    `alone` returns a context that one process at a time can be in, of those that share the store.
    """

    def __init__(
        self,
        directory: Path,
        *,
        random: Callable[[int], bytes] = os.urandom,
        most_files: int = 10_000,
        most_bytes: int | None = None,
        executor: Executor | None = None,
        alone: Callable[[], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        self._directory = directory
        self._incoming = directory / "incoming"
        self._kept = directory / "kept"
        self._random = random
        self._limits = Limits(most_files, most_bytes)
        self._disk = Disk(executor)
        self._keeping = Keeping(self._disk, incoming=self._incoming, kept=self._kept)
        self._lock: int | None = None
        self._holds = 0
        self._doomed: set[str] = set()
        self._arriving: set[str] = set()
        self._alone = alone
        self._exits = contextlib.AsyncExitStack()

    @property
    def directory(self) -> Path:
        """Where they are."""
        return self._directory

    async def open(self) -> None:
        """Make the directory where absent, and remove what an interrupted intake left; raises StoreUnusable."""
        try:
            await self._be_alone()
            await self._disk.run(self._prepare)
        except StoreUnusable:
            raise
        except StoreError as error:
            raise StoreUnusable(f"can't use the spool in {self.directory}: {error.__cause__}") from error

    async def close(self) -> None:
        """Let go of it. May be called twice."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        await self._exits.aclose()

    async def _be_alone(self) -> None:
        if self._alone is None:
            return
        try:
            await self._exits.enter_async_context(self._alone())
        except StoreError as error:
            raise StoreUnusable(
                f"only one process of a shared store may keep files in a directory: set [staging], so that they are in a bucket "
                f"that all of them reach ({error})"
            ) from error

    async def claim(self, owner: str | None) -> str:
        """Return the id of the store whose files these are: `owner`, or that of a spool that nobody claimed yet.

        One that is empty can be claimed anew. Raises StoreUnusable if it holds another store's files, or if this store's are in a
        bucket, and StoreError.
        """
        if owner is not None and owner.startswith(STAGED):
            raise StoreUnusable(
                "the files of this store are in a staging bucket: set [staging], or copy the store with consignee store copy"
            )
        path = self.directory / "owner"
        written = await self._disk.run(lambda: path.read_text().strip() if path.exists() else "")
        if written and written != owner and await self.tokens():
            raise StoreUnusable(
                f"the spool in {self.directory} holds files of another store: give each store a spool of its own"
            )
        owner = owner or self._random(16).hex()
        if written != owner:
            await self._disk.run(write_durably, path, owner.encode() + b"\n")
        return owner

    async def is_new(self) -> bool:
        """Return whether nobody has claimed it yet."""
        return not await self._disk.run((self.directory / "owner").exists)

    def _prepare(self) -> None:
        make_directory(self.directory)
        require_private(self.directory)
        if self._lock is None:
            self._lock = take_lock(self.directory, "spool")
        for directory in (self._incoming, self._kept):
            make_directory(directory)
        for leftover in list(self._incoming.iterdir()):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        require_private_tree(self.directory)

    @contextlib.asynccontextmanager
    async def _intake(self, names: Names) -> AsyncIterator[Intake]:
        token = self._new_token()
        folder = Folder(self._incoming / token, self._kept / token)
        intake = SpoolIntake(self._disk, self._keeping, folder, token, self._limits, names)
        try:
            yield intake
        finally:
            if not intake.kept:
                await intake.discard()
            self._arriving.discard(token)

    def _new_token(self) -> str:
        token = self._random(16).hex()
        if token in self._arriving:
            raise StoreError("the files could not be stored: their token was given before")
        self._arriving.add(token)
        return token

    def intake(
        self, *, reserved: Iterable[str] = (), account: str = "", collection_id: str = ""
    ) -> AbstractAsyncContextManager[Intake]:
        """Return a context in which files are taken in, but none of a `reserved` name; left without `keep`, nothing stays."""
        return self._intake(Names(reserved=reserved))

    def stored(self, token: str, files: Sequence[SpooledFile]) -> Stored:
        """Return the files of a set."""
        return _Spooled(self, token, files)

    def body(self, token: str, number: int, file: SpooledFile) -> FileBody:
        """Return the content of the file that was added as the `number`th, from 0."""
        path = self._place(token) / str(number)
        return FileBody(path, file.size, bytes.fromhex(file.md5), bytes.fromhex(file.sha256))

    async def contents(self, token: str, files: Mapping[int, SpooledFile]) -> dict[int, Body]:
        """Return small files, by their numbers, read whole; one that can't be read as it was is left out: `body` says why."""
        place = self._place(token)
        return await in_thread(read_whole, place, files)

    async def remove(self, token: str) -> None:
        """Remove a set durably, or later if it is held; one that is not there is fine. Raises StoreError."""
        place = self._place(token)
        if self._holds:
            self._doomed.add(token)
        else:
            await self._disk.run(self._remove, place)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[Path]:
        """Yield the directory, in which no set is removed before the block ends."""
        self._holds += 1
        try:
            yield self.directory
        finally:
            self._holds -= 1
            while self._doomed and not self._holds:
                await self._remove_late(self._doomed.pop())

    async def _remove_late(self, token: str) -> None:
        try:
            await self.remove(token)
        except StoreError as error:
            logger.error("files that nothing needs any more are still there until the next start: %s", error)

    def _remove(self, place: Path) -> None:
        doomed = self._incoming / place.name
        # Out of sight in one step first: a set is there whole or not at all, also after a crash half-way.
        with contextlib.suppress(FileNotFoundError):
            place.rename(doomed)
            fsync_directory(self._kept)
            shutil.rmtree(doomed)

    @property
    def listed(self) -> bool:
        """They are."""
        return True

    async def tokens(self) -> list[str]:
        """Return the tokens of the sets that are kept, sorted. Raises StoreError."""
        names = await self._disk.run(os.listdir, self._kept)
        return sorted(name for name in names if is_token(name))

    async def sweep(self, keep: Container[str]) -> None:
        """Remove every kept set whose token is not in `keep`, so also one that is not recorded yet, unless its context
        lasts. Raises StoreError."""
        for token in await self.tokens():
            if token not in keep and token not in self._arriving:
                await self.remove(token)

    def _place(self, token: str) -> Path:
        if not is_token(token):
            raise ValueError("no token of a spooled set")
        return self._kept / token


class _Spooled(Stored):
    """The files of one set."""

    def __init__(self, spool: Spool, token: str, files: Sequence[SpooledFile]) -> None:
        self._spool = spool
        self._token = token
        self._files = files

    def body(self, number: int) -> FileBody:
        """Return the content of a file."""
        return self._spool.body(self._token, number, self._files[number])

    async def contents(self, numbers: Iterable[int]) -> Mapping[int, Body]:
        """Return small files."""
        return await self._spool.contents(self._token, {number: self._files[number] for number in numbers})
