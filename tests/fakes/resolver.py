"""A name service of fixed answers, since names below localhost do not resolve everywhere."""

import asyncio
import socket
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from aiohttp.abc import AbstractResolver, ResolveResult


class FixedResolver(AbstractResolver):
    """Maps names to addresses; `*.example` stands for all names below. Every other name does not exist.

    A name in `failing` fails as if the name service were down, one in `hanging` is never answered. `asked`
    has the names that were asked for, in order; `closed` says whether close() was called.
    """

    def __init__(
        self,
        addresses: Mapping[str, Sequence[str]] | None = None,
        *,
        failing: Collection[str] = (),
        hanging: Collection[str] = (),
    ) -> None:
        self.addresses = dict(addresses or {})
        self.failing = set(failing)
        self.hanging = set(hanging)
        self.asked: list[str] = []
        self.closed = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses; raises socket.gaierror."""
        self.asked.append(host)
        if host in self.hanging:
            await asyncio.Event().wait()
        if host in self.failing:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        for pattern, addresses in self.addresses.items():
            if fnmatchcase(host, pattern):
                return [_result(host, address, port) for address in addresses]
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
