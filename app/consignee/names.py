"""Asking the system's name service, in threads of its own: a name that nobody answers must not hold up the disk, or a stop."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

AT_ONCE: Final = 512
"""Lookups at once, far more than one customer can hold: one that nobody answers takes half a minute, and can't be ended."""
PATIENCE: Final = 5.0
"""Seconds that a lookup waits for its place: aiohttp lets it wait on when the request for it has long been given up."""


class Names(AbstractResolver):
    """The system's resolver. Its threads are daemons, for which the end of the process does not wait."""

    def __init__(
        self,
        *,
        at_once: int = AT_ONCE,
        patience: float = PATIENCE,
        look_up: Callable[..., Any] = socket.getaddrinfo,
    ) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._patience = patience
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses; raises OSError. Cancelled, it leaves a thread behind, which keeps its place until it ends."""
        await self._place()
        loop, answer = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        def tell(found: list[Any] | None, error: Exception | None) -> None:
            self._places.release()
            if not answer.done():
                answer.set_exception(error) if error else answer.set_result(found)

        def ask() -> None:
            found, error = None, None
            try:
                found = self._look_up(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
            except Exception as raised:  # noqa: BLE001 - whatever it is, the place must become free
                error = raised if isinstance(raised, OSError) else OSError("not a name")
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(tell, found, error)

        try:
            threading.Thread(target=ask, name="names", daemon=True).start()
        except RuntimeError as error:
            self._places.release()
            raise OSError("no thread could be started for the lookup") from error
        return [_result(host, *entry) for entry in await answer]

    async def _place(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise OSError("too many lookups are under way") from None

    async def close(self) -> None:
        """Nothing is held that could be let go of."""


def _result(host: str, family: int, _kind: int, protocol: int, _name: str, place: tuple[Any, ...]) -> ResolveResult:
    address, port, *rest = place
    scope = rest[1] if len(rest) > 1 else 0
    return ResolveResult(
        hostname=host,
        host=f"{address}%{scope}" if scope else address,
        port=port,
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
