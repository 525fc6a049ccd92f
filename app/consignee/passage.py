"""A body on its way to a storage: until when it must have come further, and what reading it raised."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from consignee.body import CHUNK_BYTES, Body
from consignee.carriage import Carriage, unsent

LOOKS: Final = 10
"""How often within the idle limit it is looked at how far a body has come, and what the system still holds of it."""


class Passage:
    """`limit` is put off by `idle` seconds with each progress, as long as `least` bytes a second are kept on the average.

    Progress is a piece that the system takes, and, after the last one, anything that the other end acknowledges: the system
    takes megabytes at once. `broken` is what reading the body raised.
    """

    def __init__(self, body: Body | None, *, idle: float, least: float) -> None:
        self.limit = asyncio.timeout(idle)
        self.broken: Exception | None = None
        self._body = body
        self._idle = idle
        self._least = least
        self._began = 0.0
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._connection: asyncio.Transport | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._carriage: Carriage | None = None

    def headers(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers, with the length: without it, an iterator would be sent in chunks, which few storages take."""
        if self._body is None or "Content-Length" in given:
            return given
        headers = CIMultiDict(given)
        headers.setdefault("Content-Length", str(self._body.length))
        return headers

    def payload(self) -> bytes | aiohttp.payload.Payload | None:
        """Return what to send."""
        payload = self._body.payload() if self._body else None
        if payload is None or isinstance(payload, bytes):
            return payload
        self._pieces = self._paced(payload)
        return _Pieces(self._pieces, self._carried)

    @property
    def in_pieces(self) -> bool:
        """Whether the body goes out in pieces, which have to be ended."""
        return self._pieces is not None

    async def end(self) -> None:
        """Let go of what the body holds open, if it was not sent to its end."""
        self._end_looks()
        if self._carriage is not None:
            await self._carriage.stop()
            await asyncio.sleep(0)  # in which the client lets go of the connection, for whoever comes next
        if self._pieces is not None:
            with suppress(RuntimeError):  # it is being read: the sender was cancelled, and so is that
                await self._pieces.aclose()

    async def _carried(self, writer: AbstractStreamWriter) -> bool:
        """Have a thread send the body, if it is one of those that gain by it; return whether it did."""
        self._connection = getattr(writer, "transport", None)
        if self._body is None or self._body.length <= CHUNK_BYTES or (blocks := self._body.blocks()) is None:
            return False
        writer.send_headers()
        self._carriage = await Carriage.begin(self._connection, blocks)
        if self._carriage is None:
            blocks.close()
            return False
        self._began = _now()
        self._follow(self._carriage, -1)
        await self._carriage.end()
        if self._carriage.broken is not None:
            self.broken = self._carriage.broken
            raise self.broken
        self._end_looks()
        self._look(self._body.length)
        return True

    def _follow(self, carriage: Carriage, before: int) -> None:
        """Put the limit off if the thread has come further than before, and look again until it ends."""
        if carriage.gone > before:
            self._progress(carriage.gone)
        self._next_look = asyncio.get_running_loop().call_later(
            self._idle / LOOKS, self._follow, carriage, carriage.gone
        )

    def _end_looks(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()

    async def _paced(self, payload: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        self._began, taken = _now(), 0
        try:
            async for piece in payload:
                self._progress(taken)
                yield piece
                taken += len(piece)
            self._look(taken)
        except Exception as error:
            self.broken = error
            raise
        finally:
            if isinstance(payload, AsyncGenerator):
                await payload.aclose()

    def _progress(self, gone: int) -> None:
        self._put_off(min(_now() + self._idle, self._latest(gone)))

    def _latest(self, gone: int) -> float:
        return self._began + self._idle + gone / self._least if self._least else math.inf

    def _look(self, length: int, before: float = math.inf) -> None:
        """Put the limit off if the system holds less than before, and look again until it holds nothing."""
        held = _held(self._connection)
        if not held:
            self._all_out(length)
            return
        if held < before:
            self._progress(max(length - held, 0))  # TLS adds to it, and what was before it may be held too
        self._next_look = asyncio.get_running_loop().call_later(self._idle / LOOKS, self._look, length, held)

    def _all_out(self, length: int) -> None:
        """What the other end has not read yet can't be seen: it has twice as long for that as it took until now."""
        now = _now()
        self._put_off(max(now + self._idle, min(now + 2 * (now - self._began), self._latest(length))))

    def _put_off(self, until: float) -> None:
        with suppress(RuntimeError):  # the answer came early: there is no limit any more
            self.limit.reschedule(until)


class _Pieces(aiohttp.payload.AsyncIterablePayload):
    """Pieces, unless something else carries them over the connection."""

    def __init__(self, pieces: AsyncIterator[bytes], carry: Callable[[AbstractStreamWriter], Awaitable[bool]]) -> None:
        super().__init__(pieces)
        self._carry = carry

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write them."""
        if not await self._carry(writer):
            await super().write_with_length(writer, content_length)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _held(connection: asyncio.Transport | None) -> int:
    """Return how many bytes are still to be sent, or to be acknowledged; 0 if the connection is gone."""
    if connection is None or connection.is_closing():  # then it may not even be asked
        return 0
    found = connection.get_extra_info("socket")
    if found is None or found.fileno() < 0:
        return 0
    return unsent(found) + connection.get_write_buffer_size()
