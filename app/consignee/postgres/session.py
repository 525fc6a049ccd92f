"""One connection to the database, set up as all of ours are."""

import asyncio
import importlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from consignee.errors import MissingExtra
from consignee.postgres.failures import Lost
from consignee.secret import Secret

Record = Any
"""A row: values by name, `row["revision"]`."""
_PATIENCE: Final = 3.0
"""Seconds that one of several hosts gets to let us in, before the next is tried."""


class Connection(Protocol):
    """What work in a transaction may ask of its connection."""

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement, or without arguments several; return what it says that it did, such as `UPDATE 1`."""
        ...

    async def executemany(self, command: str, args: Any) -> None:
        """Run a statement for each of some tuples of arguments."""
        ...

    async def fetch(self, query: str, *args: Any) -> list[Record]:
        """Return the rows."""
        ...

    async def fetchrow(self, query: str, *args: Any) -> Record | None:
        """Return the first row, or None."""
        ...

    async def fetchval(self, query: str, *args: Any) -> Any:
        """Return the first value of the first row, or None."""
        ...


class Session:
    """A connection, and what is known of it. `ended` is told once if it ends and we did not want that."""

    def __init__(self, raw: Any, *, ended: Callable[[], None] = lambda: None) -> None:
        self.raw = raw
        self.warned = False
        """Whether the server gave a warning, as it does when a commit did not wait for its standby."""
        self._ended = ended
        self._wanted = False
        raw.add_log_listener(self._hear)
        raw.add_termination_listener(self._end)

    @property
    def closed(self) -> bool:
        """Whether it is of no use any more."""
        return bool(self.raw.is_closed())

    @property
    def in_transaction(self) -> bool:
        """Whether something was begun and not ended."""
        return not self.closed and bool(self.raw.is_in_transaction())

    def cause(self, error: Exception) -> Exception:
        """Return what an error stands for: the driver stumbles over a connection that ended before it sends anything."""
        return Lost() if isinstance(error, AttributeError) and self.closed else error

    def drop(self) -> None:
        """End it at once. Nothing is cancelled at the server: a commit that waits for a standby would go on without it."""
        self._wanted = True
        self.raw.terminate()

    async def close(self) -> None:
        """End it in order."""
        self._wanted = True
        with suppress(Exception):
            await self.raw.close(timeout=1)

    def _hear(self, _: Any, message: Any) -> None:
        severity = getattr(message, "severity_en", None) or getattr(message, "severity", None)
        self.warned = self.warned or severity == "WARNING"

    def _end(self, _: Any) -> None:
        if not self._wanted:
            self._wanted = True
            self._ended()


def driver() -> Any:
    """Return the module asyncpg; raises MissingExtra."""
    try:
        return importlib.import_module("asyncpg")
    except ModuleNotFoundError:
        raise MissingExtra("postgres", needs="a store with a URL") from None


async def connect(url: Secret, *, within: float, waits: float, ended: Callable[[], None] = lambda: None) -> Session:
    """Return a new connection, or raise what the driver raises, within so many seconds.

    It waits for a lock at most `waits` seconds; nothing else ends a statement, for one that was cancelled while it waited for
    a standby would have taken effect without it. A transaction whose process is paused, or gone without a word, ends
    after ten seconds: it may be what all others wait for who claim.
    """
    raw = None
    try:
        async with asyncio.timeout(min(within, _PATIENCE)):
            raw = await driver().connect(url.reveal(), server_settings={"application_name": "consignee"})
            await raw.execute(
                f"SET statement_timeout = 0; SET lock_timeout = {max(1, round(waits * 1000))};"
                " SET idle_in_transaction_session_timeout = 10000"
            )
        return Session(raw, ended=ended)
    except BaseException:
        if raw is not None:
            raw.terminate()
        raise
