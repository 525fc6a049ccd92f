"""Large objects for a service account: one session, whose pieces are sent one after the other.

gcloud-aio-storage has such uploads too, but sends all that is left in one request, keeps the session to itself, so that no other
process can go on with it, and starts from the first byte when that fails. To compose an object of others would need the right to
read them, and leave them behind. So these few requests are ours: `gcs_session.py`; only the token is the library's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from consignee.body import Body
from consignee.errors import FileTooLarge, ProviderError, ProviderFailure
from consignee.providers.base import Checkpoint
from consignee.providers.gcs_session import Corrupted, Progress, SessionGone, Sessions
from consignee.providers.parts import LONGEST_PAUSE
from consignee.secret import Secret
from consignee.transport import Parts

QUANTUM: Final = 256 * 1024
"""Every piece but the last is a multiple of this, in bytes."""
LONGEST: Final = 5 * 1024**4
"""The largest object, in bytes: https://cloud.google.com/storage/quotas#objects"""


def piece_size(wanted: int) -> int:
    """Return how large each piece but the last is, in bytes: at least what is wanted."""
    return max(1, -(-wanted // QUANTUM)) * QUANTUM


async def abandon(sessions: Sessions, state: Mapping[str, Any]) -> None:
    """Cancel the session of a checkpoint's state; one of another endpoint expires by itself, in a week."""
    session = Secret(state.get("session", ""))
    if sessions.knows(session):
        await sessions.cancel(session)


class ResumableUpload:
    """One attempt to upload one body. `begin` opens a session; `confirm` looks at the object, and may raise Corrupted."""

    def __init__(
        self,
        sessions: Sessions,
        key: str,
        body: Body,
        checkpoint: Checkpoint,
        *,
        parts: Parts,
        begin: Callable[[], Awaitable[Secret]],
        confirm: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self._sessions = sessions
        self._key = key
        self._body = body
        self._checkpoint = checkpoint
        self._parts = parts
        self._begin = begin
        self._confirm = confirm

    async def run(self) -> None:
        """Go on with the session of the checkpoint; begin anew if there is none, or if the storage has forgotten it."""
        if self._body.length > LONGEST:
            raise FileTooLarge(f"The file is larger than the {LONGEST} bytes that this storage takes.")
        if await self._can_go_on():
            with suppress(SessionGone):
                return await self._finish(self._session(), offset=None)
        await self._begin_anew()
        try:
            await self._finish(self._session(), offset=0)
        except SessionGone:
            await self._checkpoint.save({})
            raise ProviderError("The storage has forgotten the upload while it was sent.") from None

    def _session(self) -> Secret:
        return Secret(self._checkpoint.state["session"])

    async def _can_go_on(self) -> bool:
        """Return whether the checkpoint is of this very content, here; a session for another is cancelled."""
        state = self._checkpoint.state
        ours = (state.get("key"), state.get("sha256")) == (self._key, self._body.sha256.hex())
        if ours and self._sessions.knows(Secret(state.get("session", ""))):
            return True
        await abandon(self._sessions, state)
        return False

    async def _begin_anew(self) -> None:
        session = await self._begin()
        state = {"session": session.reveal(), "key": self._key, "sha256": self._body.sha256.hex()}
        try:
            await self._checkpoint.save(state)
        except BaseException:
            with suppress(ProviderFailure):  # nobody would know of it any more
                await asyncio.shield(self._sessions.cancel(session))
            raise

    async def _finish(self, session: Secret, *, offset: int | None) -> None:
        try:
            self._confirm(await self._send_all(session, offset))
        except Corrupted:
            with suppress(ProviderFailure):
                await self._sessions.cancel(session)
            await self._checkpoint.save({})
            await self._body.verify()
            raise ProviderError("The storage did not receive the file as it was sent.") from None

    async def _send_all(self, session: Secret, offset: int | None) -> Mapping[str, Any]:
        """Return the object that was made; where the storage is, it is asked if that is unknown, and after each failure."""
        failed, furthest = 0, offset or 0
        while True:
            try:
                progress = await self._step(session, offset)
            except ProviderFailure as failure:
                failed += 1
                wait = max(min(self._parts.pause * 2 ** (failed - 1), LONGEST_PAUSE), failure.retry_after or 0.0)
                if not failure.transient or failed >= self._parts.tries or wait > LONGEST_PAUSE:
                    raise
                await asyncio.sleep(wait)
                offset = None
                continue
            if progress.made is not None:
                return progress.made
            if progress.kept > furthest:
                failed, furthest = 0, progress.kept
            offset = progress.kept

    async def _step(self, session: Secret, offset: int | None) -> Progress:
        """Send what follows `offset`, or ask; an upload without progress has failed."""
        if offset is None:
            progress = await self._sessions.ask(session, self._body.length)
        else:
            progress = await self._sessions.send(session, self._body, offset, piece_size(self._parts.size))
        least = -1 if offset is None else offset
        if progress.made is None and not least < progress.kept < self._body.length:
            raise ProviderError("The storage did not keep what was sent.")
        return progress
