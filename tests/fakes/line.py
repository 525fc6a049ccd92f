"""A server of which each connection is in the hands of a test, from its first byte: to serve it, or to spoil it."""

import asyncio
import select
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from fakes.scripted import Request, read_head, read_request

_AWAY: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR
_RECEIVE_BUFFER: Final = 65536
"""Small, so that a large body does not fit into what lies between both ends."""


class Line:
    """One connection that was accepted. It speaks nothing until it is opened, and then with TLS if there is `tls`."""

    def __init__(self, accepted: socket.socket) -> None:
        self._socket = accepted
        self._number = accepted.fileno()
        self.tls: ssl.SSLContext | None = None
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Speak from now on; raises SSLError, ConnectionError."""
        loop = asyncio.get_running_loop()
        self.reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(self.reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, self._socket, ssl=self.tls)
        self.writer = asyncio.StreamWriter(transport, protocol, self.reader, loop)

    async def head(self) -> Request:
        """Return the next request without its body."""
        head = await read_head(self.reader)
        if head is None:
            raise ConnectionResetError
        return head

    async def request(self) -> Request:
        """Return the next request."""
        assert self.writer is not None
        request = await read_request(self.reader, self.writer)
        if request is None:
            raise ConnectionResetError
        return request

    async def say(self, data: bytes) -> None:
        """Send that."""
        assert self.writer is not None
        self.writer.write(data)
        await self.writer.drain()

    async def hang_up(self) -> None:
        """Close the connection in order."""
        assert self.writer is not None
        self.writer.close()
        await self.writer.wait_closed()

    def reset(self) -> None:
        """End the connection with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Let go of everything."""
        if self.writer is not None:
            self.writer.transport.abort()
        else:
            self._socket.close()

    async def receive(self) -> bytes:
        """Return what came, if it was not opened yet."""
        return await asyncio.get_running_loop().sock_recv(self._socket, 65536)

    async def left_alone(self) -> None:
        """Return when the other end has closed the connection; what it has sent is not read."""
        while not self._is_closed() and not self._poll():
            await asyncio.sleep(0.01)

    def _is_closed(self) -> bool:
        return self.writer is not None and self.writer.transport.is_closing()

    def _poll(self) -> bool:
        poll = select.poll()
        poll.register(self._number, _AWAY)
        return bool(poll.poll(0))


class Switchboard:
    """A listening server; `play` gets each connection, and its number from 1, and is at an end with it when it returns."""

    def __init__(self, port: int, play: Callable[[Line, int], Awaitable[None]]) -> None:
        self.port = port
        self.connections = 0
        self.lines: set[asyncio.Task[None]] = set()
        self._play = play

    async def accept(self, listener: socket.socket) -> None:
        """Accept connections for good."""
        while True:
            accepted, _ = await asyncio.get_running_loop().sock_accept(listener)
            self.connections += 1
            task = asyncio.create_task(self._run(Line(accepted), self.connections))
            self.lines.add(task)
            task.add_done_callback(self.lines.discard)

    async def _run(self, line: Line, number: int) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._play(line, number)
        finally:
            line.close()

    async def quiet(self) -> None:
        """Return when no connection is open any more."""
        while self.lines:
            await asyncio.wait(self.lines)


@asynccontextmanager
async def switchboard(play: Callable[[Line, int], Awaitable[None]]) -> AsyncIterator[Switchboard]:
    """Listen on this machine."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        listener.setblocking(False)
        board = Switchboard(listener.getsockname()[1], play)
        accepting = asyncio.create_task(board.accept(listener))
        try:
            yield board
        finally:
            tasks = [accepting, *board.lines]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)
