"""A proxy before the database that cuts a connection at a chosen moment: a request is lost, or its answer is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal

Lost = Literal["request", "answer"]


class Proxy:
    """Carries bytes to and fro, and counts requests: what a client sends at once."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.requests = 0
        self.cuts = 0
        self._target = target
        self._cut: tuple[Lost, int] | None = None
        self._awaited: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self.deaf = False
        """Whether nothing is carried any more, though connections stay."""
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        """What is done, once, after something is lost and before the connection ends."""

    def cut(self, lost: Lost, number: int) -> None:
        """Cut once, at the request of that number from now on, the first being 0: it is lost, or its answer is."""
        self.requests, self._cut, self._awaited = 0, (lost, number), None

    def spare(self) -> None:
        """Cut nothing from now on."""
        self._cut, self._awaited = None, None

    def deafen(self) -> None:
        """Carry nothing more of the connections that there are; later ones are carried."""
        self._silent |= self._writers

    def sever(self) -> None:
        """End all connections that there are."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, back}
        self._writers |= ends
        task = asyncio.create_task(self._both(reader, writer, there, back))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task])
        self._writers -= ends

    async def _both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        ways = [
            asyncio.create_task(self._requests(reader, back)),
            asyncio.create_task(self._answers(there, writer, back)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.transport.abort()
            back.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 20):
                number, self.requests = self.requests, self.requests + 1
                if self._cut == ("request", number):
                    self._cut = None
                    await self._lose()
                    return
                if self._cut == ("answer", number):
                    self._cut, self._awaited = None, back
                if not self.deaf and back not in self._silent:
                    back.write(data)

    async def _answers(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await there.read(1 << 20):
                if self._awaited is back:
                    self._awaited = None
                    await self._lose()
                    return
                if not self.deaf and writer not in self._silent:
                    writer.write(data)

    async def _lose(self) -> None:
        self.cuts += 1
        if (meanwhile := self.meanwhile) is not None:
            self.meanwhile = None
            await meanwhile()

    async def close(self) -> None:
        """End everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """Yield a proxy before that port."""
    made = Proxy(target)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()
