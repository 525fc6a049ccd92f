"""A connection that listens: what it hears is but a hint, and it may be deaf for a while."""

import asyncio
import random as chance
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from consignee.postgres.pool import Pool
from consignee.postgres.session import Session

_PATIENCE: Final = 5.0
_LOOK_EVERY: Final = 30.0
"""Seconds after which a connection is asked whether it is still one: a partition is silent."""


class Listener:
    """Listens on channels, on a connection that is made anew when it ends."""

    def __init__(self, pool: Pool, *, random: Callable[[], float] = chance.random) -> None:
        self._pool = pool
        self._random = random
        self._callbacks: dict[str, list[Callable[[str], None]]] = {}
        self._again = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    def add(self, channel: str, callback: Callable[[str], None]) -> None:
        """Have the callback told from soon on."""
        self._callbacks.setdefault(channel, []).append(callback)
        self._again.set()

    async def close(self) -> None:
        """Hear no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with suppress(Exception):
                await self._listen(await self._pool.connected(asyncio.get_running_loop().time() + _PATIENCE))
            await asyncio.sleep(0.2 + 0.6 * self._random())

    async def _listen(self, session: Session) -> None:
        known: set[str] = set()
        session.raw.add_termination_listener(lambda _: self._again.set())
        try:
            while not session.closed:
                self._again.clear()
                async with asyncio.timeout(_PATIENCE):
                    await session.raw.execute("SELECT 1")
                    for channel in [one for one in self._callbacks if one not in known]:
                        await session.raw.add_listener(channel, self._hear)
                        known.add(channel)
                        self._tell(channel, "")
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self._again.wait()
        finally:
            session.drop()

    def _hear(self, _: Any, __: int, channel: str, payload: object) -> None:
        self._tell(channel, str(payload))

    def _tell(self, channel: str, payload: str) -> None:
        for callback in self._callbacks[channel]:
            callback(payload)
