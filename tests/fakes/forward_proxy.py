"""A forward proxy: tunnels by CONNECT, passes plain requests on, and finds the vendors' names at servers of the tests."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import aiohttp

from fakes.scripted import Answer, Request, Server, listening, read_head

_OWN = ("proxy-authorization", "proxy-connection", "host")


@dataclass
class ForwardProxy:
    """`ports` has the port of this machine for each pattern of names; `credentials`, if there are any, must be shown each time.

    `asked` are the hosts and ports that were asked for by those who may, `turned_away` counts the others. `passed` is what went
    through its tunnels from the clients. With a `status`, everybody gets that for an answer.
    """

    ports: Mapping[str, int]
    credentials: str = ""
    status: int = 200
    asked: list[str] = field(default_factory=list)
    turned_away: int = 0
    passed: bytearray = field(default_factory=bytearray)
    server: Server = field(default_factory=lambda: Server("", 0))

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while head := await read_head(reader):
            refusal = self._refusal(head)
            if refusal is not None:
                writer.write(refusal.encode())
                return
            self.asked.append(head.path if head.method == "CONNECT" else urlsplit(head.path).netloc)
            if head.method == "CONNECT":
                await self._tunnel(head.path, reader, writer)
                return
            body = await reader.readexactly(int(head.headers.get("content-length", "0")))
            writer.write((await self._forwarded(head, body)).encode())

    def _refusal(self, head: Request) -> Answer | None:
        proof = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        if self.credentials and head.headers.get("proxy-authorization") != proof:
            self.turned_away += 1
            return Answer(407, {"Proxy-Authenticate": 'Basic realm="proxy"', "Connection": "close"})
        if self.status != 200:
            return Answer(self.status, {"Connection": "close"}, b"<html>no</html>")
        return None

    def _port(self, place: str) -> int:
        host, _, port = place.rpartition(":")
        return next((leads for name, leads in self.ports.items() if fnmatchcase(host, name)), int(port))

    async def _tunnel(self, place: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._port(place))
        except OSError:
            writer.write(Answer(502, {"Connection": "close"}).encode())
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_pump(reader, ours, self.passed), _pump(theirs, writer, bytearray()))
        finally:
            ours.transport.abort()

    async def _forwarded(self, head: Request, body: bytes) -> Answer:
        url = urlsplit(head.path)
        target = url._replace(netloc=f"127.0.0.1:{self._port(f'{url.hostname}:{url.port or 80}')}").geturl()
        headers = {name: value for name, value in head.headers.items() if name not in _OWN}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                head.method, target, headers={**headers, "Host": url.netloc}, data=body, allow_redirects=False
            ) as response,
        ):
            kept = {name: value for name, value in response.headers.items() if name != "Content-Length"}
            return Answer(response.status, kept, await response.read())


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passed: bytearray) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            passed += chunk
            writer.write(chunk)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def forward_proxy(
    ports: Mapping[str, int] | None = None, *, credentials: str = "", status: int = 200
) -> AsyncIterator[ForwardProxy]:
    """Run one on this machine."""
    proxy = ForwardProxy(ports or {}, credentials, status)
    async with listening(proxy.handle) as proxy.server:
        yield proxy
