"""A relay that makes the sink as far away as a storage is: every byte takes its time, however many are on the way.

    python bench/distance.py PORT MILLISECONDS     relays to that port, and prints its own

The system accepts a connection on loopback at once, so the round trip of TCP's handshake has to be simulated: what the client
says first leaves a whole round trip after the connection was made. For who connects and then speaks first, as TLS does, all
that follows comes as late as over a real distance; only that `connect` itself returns early can't be had this way.
"""

import asyncio
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab import OTHERS_ON
from sink import Sink

ROUND_TRIP_MS: Final = 50
HOST: Final = "127.0.0.1"
_BACKLOG: Final = 4096


class _End(asyncio.Protocol):
    """One end of a connection: what it receives, the other end sends after `delay` seconds, in the same order."""

    def __init__(self, delay: float, other: "_End | None" = None) -> None:
        self.other = other or _End(delay, self)
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._earliest = 0.0
        self._on_the_way: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def not_before(self, moment: float) -> None:
        """Let nothing leave before that moment."""
        self._earliest = moment

    def data_received(self, data: bytes) -> None:
        """Take what came; nothing stands for the end."""
        self._on_the_way.append(data)
        self._loop.call_at(max(self._loop.time(), self._earliest) + self._delay, self._arrive)

    def connection_lost(self, _: Exception | None) -> None:
        """Let the other end follow."""
        self.data_received(b"")

    def _arrive(self) -> None:
        if piece := self._on_the_way.popleft():
            self.other.transport.write(piece)
        else:
            self.other.transport.close()


async def _relay(target: int, round_trip: float) -> None:
    loop = asyncio.get_running_loop()
    reaching = set()

    class Near(_End):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.not_before(loop.time() + round_trip)
            self.transport.pause_reading()
            reaching.add(loop.create_task(self.reach()))

        async def reach(self) -> None:
            await loop.create_connection(lambda: self.other, HOST, target)
            self.transport.resume_reading()

    server = await loop.create_server(lambda: Near(round_trip / 2), HOST, 0, backlog=_BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def relayed(port: int) -> Iterator[int]:
    """Run a relay to that port in a process of its own; yield its port."""
    command = ["taskset", "-c", str(OTHERS_ON), sys.executable, str(Path(__file__)), str(port), str(ROUND_TRIP_MS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield int(process.stdout.readline() if process.stdout else "")
    finally:
        process.terminate()
        process.wait(10)


def distant(near: Sink) -> Iterator[Sink]:
    """Yield the sink as it is seen from a round trip away, over https."""
    host, _, port = near.https.rpartition(":")
    with relayed(int(port)) as relay:
        yield replace(near, https=f"{host}:{relay}")


if __name__ == "__main__":
    asyncio.run(_relay(int(sys.argv[1]), float(sys.argv[2]) / 1000))
