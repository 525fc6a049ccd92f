"""What a request waits for before it is sent: its host's name to be resolved, and a connection.

The connector and its resolver tell, and only whoever asked for it in its own context: aiohttp's own tracing costs every request a
tenth of all it takes, also of those that nobody watches.
"""

import socket
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult


class Trace:
    """How long resolving and connecting took, in milliseconds, and which of them is under way."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, told: Callable[[str | None], object] | None = None
    ) -> None:
        self.clock = clock
        self.told = told
        """Who hears of each phase that begins; None: the one before it has ended, and nothing is waited for."""
        self.spent: dict[str, float] = {}
        self.current: str | None = None
        self._since = 0.0

    def enter(self, phase: str | None) -> None:
        """Note that `phase` begins now, and that the one before it has ended."""
        now = self.clock()
        if self.current is not None:
            self.spent[self.current] = self.spent.get(self.current, 0.0) + (now - self._since) * 1000
        self.current, self._since = phase, now
        if self.told is not None:
            self.told(phase)


_TRACE: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)


def watch(trace: Trace | None) -> None:
    """Have the trace, or nobody, told of the connections that this task opens from now on."""
    if _TRACE.get() is not trace:
        _TRACE.set(trace)


def enter(phase: str | None) -> None:
    """Tell who watches, if somebody does, that a phase begins."""
    trace = _TRACE.get()
    if trace is not None:
        trace.enter(phase)


class Telling(AbstractResolver):
    """A resolver that tells when it resolves; what comes next, also after a failure, is not for it to say."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return what the resolver says; raises OSError."""
        enter("resolve")
        found = await self._inner.resolve(host, port, family)
        enter("connect")
        return found

    async def close(self) -> None:
        """Close the resolver."""
        await self._inner.close()
