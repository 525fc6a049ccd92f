"""Staging: the files of result sets in a bucket of the operator's, where every process that shares the store finds them.

    PREFIX/TOKEN/0, 1, 2        the pieces of one set: `staging_layout`

Nothing is ever listed. What is arriving is noted in the store (`staging_notes`); what has arrived is removed before the document
of its result set is.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from consignee.delivery.claiming import SPOOLS, STAGED
from consignee.delivery.file_names import Names
from consignee.delivery.intake import Intake, Limits, SpooledFile
from consignee.delivery.result_files import Named, ResultFiles, Stored, is_token
from consignee.delivery.staging_body import StagedSet
from consignee.delivery.staging_intake import Room, StagingIntake, Stream
from consignee.delivery.staging_layout import PIECE_BYTES, Layout
from consignee.delivery.staging_notes import BEAT_SECONDS, Note, Notes
from consignee.delivery.staging_pieces import Pieces
from consignee.ending import to_its_end
from consignee.errors import StoreError, StoreUnusable
from consignee.providers.base import Bucket
from consignee.store import Store

logger = logging.getLogger(__name__)


class Staging(ResultFiles):
    """The files of result sets in a bucket that `open_bucket` opens; `place` names it, for `claim`.

    `most_bytes` is over all files of a result set; of `room` pieces of `piece` bytes each may be in memory while they arrive.
    """

    def __init__(
        self,
        open_bucket: Callable[[], AbstractAsyncContextManager[Bucket]],
        store: Store,
        *,
        place: str,
        room: int,
        prefix: str = "",
        random: Callable[[int], bytes] = os.urandom,
        most_files: int = 10_000,
        most_bytes: int | None = None,
        piece: int = PIECE_BYTES,
        notes: Notes | None = None,
        pause: float = 0.5,
    ) -> None:
        self._open_bucket = open_bucket
        self._id = STAGED + hashlib.sha256(f"{place}\n{prefix}".encode()).hexdigest()[:32]
        self._random = random
        self._limits = Limits(most_files, most_bytes)
        self._room = Room(room)
        self._pieces = Pieces(self._opened, prefix=prefix, size=piece, pause=pause)
        self._notes = notes or Notes(store)
        self._store = store
        self._is_claimed = False
        self._exits = AsyncExitStack()
        self._bucket: Bucket | None = None

    async def open(self) -> None:
        """Open the bucket: nothing is sent."""
        self._bucket = await self._exits.enter_async_context(self._open_bucket())
        beating = asyncio.create_task(self._beat())
        self._exits.push_async_callback(_cancelled, beating)

    async def close(self) -> None:
        """Let go of it."""
        self._bucket = None
        await self._exits.aclose()

    async def claim(self, owner: str | None) -> str:
        """Return an id of the place; raises StoreUnusable if the store's files are elsewhere."""
        if owner not in (None, self._id):
            where = "another staging bucket" if owner and owner.startswith(STAGED) else "a directory"
            raise StoreUnusable(
                f"the files of this store are in {where}: name that in the settings, or copy the store with "
                "consignee store copy"
            )
        return self._id

    def intake(
        self, *, reserved: Iterable[str] = (), account: str = "", collection_id: str = ""
    ) -> AbstractAsyncContextManager[Intake]:
        """Return a context in which files are taken in; left without `keep`, nothing stays."""
        return self._intake(Names(reserved=reserved), Note(account, collection_id))

    @asynccontextmanager
    async def _intake(self, names: Names, note: Note) -> AsyncIterator[Intake]:
        token = self._random(16).hex()
        self._notes.begin(token, note)
        stream = Stream(self._pieces, self._notes, self._room, token, note.account)
        intake = StagingIntake(stream, token, self._limits, names)
        try:
            yield intake
        finally:
            await intake.discard()
            if not intake.kept:
                await to_its_end(self._discarded(token, stream))

    async def _discarded(self, token: str, stream: Stream) -> None:
        try:
            await self._pieces.delete(token, range(stream.count + stream.unsure))
            if not stream.unsure:
                await self._notes.drop(token)
        except StoreError as error:
            logger.error("an unfinished intake is removed later: %s", error)
        # What was sent without an answer may still appear: the note stays for whoever tidies up.
        self._notes.forget(token)

    def stored(self, token: str, files: Sequence[SpooledFile]) -> Stored:
        """Return the files of a set."""
        return StagedSet(self._pieces, _checked(token), files)

    async def settle(self, token: str) -> None:
        """Remove the note of a set that is saved by now; raises StoreError, also if the set was given up."""
        if self._notes.of(token) is None:
            return
        try:
            await self._require_claimed()
            await self._notes.settle(token)
        finally:  # if it failed, `tidy` finds out what has become of the set
            self._notes.forget(token)

    async def _require_claimed(self) -> None:
        """As long as there was no result set, another process may have started with another bucket; now there is one."""
        if not self._is_claimed:
            own = await self._store.get(SPOOLS, "", "own")
            if own is not None and own.data["id"] != self._id:
                logger.error(
                    "another process has this store with another staging bucket, or prefix: restart with the same"
                )
                raise StoreError("the files could not be stored: others keep theirs elsewhere")
            self._is_claimed = True

    async def release(self, token: str, files: Sequence[SpooledFile]) -> None:
        """Remove the pieces of a set; raises StoreError."""
        count = Layout(file.size for file in files).pieces(self._pieces.size)
        await self._pieces.delete(_checked(token), range(count))

    async def disown(self, token: str, files: Sequence[SpooledFile], *, account: str, collection_id: str) -> None:
        """Note a set again as one that is arriving, in a process that is gone; raises StoreError."""
        count = Layout(file.size for file in files).pieces(self._pieces.size)
        await self._notes.disown(_checked(token), Note(account, collection_id, count))

    async def remove(self, token: str) -> None:
        """Leave what has arrived here of a set to `tidy`: that its document could not be saved may turn out to be wrong."""
        self._notes.forget(_checked(token))

    async def tidy(self, named: Named) -> None:
        """Remove what dead processes left; raises StoreError."""
        await self._notes.tidy(named, self._pieces.delete)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Path | None]:
        """Yield nothing: a backup holds no files of a bucket."""
        yield None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await self._notes.renew()

    def _opened(self) -> Bucket:
        if self._bucket is None:
            raise StoreError("the staging bucket is closed")
        return self._bucket


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _checked(token: str) -> str:
    if not is_token(token):
        raise ValueError("no token of a staged set")
    return token
