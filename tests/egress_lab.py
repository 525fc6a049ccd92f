"""What the tests of egress share: the table of cases, a scripted resolver, and sockets that are recorded, not dialled."""

import asyncio
import contextlib
import errno
import ipaddress
import json
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from consignee.egress import AllowRule, Policy

Case = dict[str, Any]
CASES: Final[list[Case]] = json.loads(Path(__file__).with_name("egress_cases.json").read_text())["cases"]
PUBLIC: Final = "93.184.216.34"
V4 = ipaddress.IPv4Address
V6 = ipaddress.IPv6Address


class Answers(AbstractResolver):
    """Answers each question with the next list of addresses, and the last one for ever; fails if that is empty."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [ResolveResult(hostname=host, host=a, port=port, family=0, proto=0, flags=0) for a in addresses]

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass
class Recorder:
    """Creates sockets for 127.0.0.1 and, if told so, for nothing else; records every address asked for."""

    loopback: bool = False
    addresses: list[str] = field(default_factory=list)

    def __call__(self, addr_info: aiohttp.AddrInfoType) -> socket.socket:
        self.addresses.append(addr_info[4][0])
        if self.loopback and addr_info[4][0] == "127.0.0.1":
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        raise ConnectionRefusedError(errno.ECONNREFUSED, "recorded, not dialled")


@dataclass
class Listener:
    """A server on 127.0.0.1 that counts its connections, keeps what it was sent, and always answers the same."""

    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    port: int = 0
    accepted: int = 0
    requests: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
                writer.write(self.answer)
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Listener"]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self


def own_address() -> str:
    """This machine's own address: the source the kernel would choose; connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def allowing(*rules: str) -> Policy:
    return Policy(tuple(map(AllowRule.parse, rules)))


def never(_: V4 | V6) -> bool:
    return False


async def failure_of(session: aiohttp.ClientSession, url: str) -> Exception:
    try:
        async with session.get(url, allow_redirects=False):
            raise AssertionError(f"{url} was reached")
    except aiohttp.ClientError as error:
        return error


def addr_info(address: str, port: int, scope: int = 0) -> aiohttp.AddrInfoType:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, scope)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


def policy_of(case: Case) -> Policy:
    told = case.get("policy", {})
    allow = tuple(AllowRule.parse(text) for text in told.get("allow", ()))
    return Policy(allow, told.get("allow_http", False), tuple(told.get("allow_names", ())))


def answers_of(case: Case, host: str) -> list[list[str]]:
    """What is dialled by each of the case's requests: the addresses that the name leads to, or the literal."""
    told = case.get("resolves_to", [host])
    answers = told if isinstance(told[0], list) else [told]
    own = "<own-interface-address>"
    return [[own_address() if address == own else address for address in answer] for answer in answers]
