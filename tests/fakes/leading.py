"""A name service that leads the vendors' own names to servers of the tests: each name to a port of this machine."""

import socket
from collections.abc import Mapping
from fnmatch import fnmatchcase

from aiohttp.abc import AbstractResolver, ResolveResult


class LeadingResolver(AbstractResolver):
    """Maps names to ports, whatever port was asked for; `*.example` stands for all names below. No other name exists."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = dict(ports)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the one address, with the port; raises socket.gaierror."""
        self.asked.append(host)
        for pattern, leads in self._ports.items():
            if fnmatchcase(host, pattern):
                return [_here(host, leads)]
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        """Nothing is held."""


def _here(host: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST
    )
