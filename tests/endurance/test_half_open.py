"""Connections that never get to a request: they cost good ones next to nothing, and are closed in time."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from samples.serving import serving, write_config

from .load import Line, Tally, ask_on, many_files, message, quantile
from .service import memory_of

HALF_OPEN = int(os.environ.get("HALF_OPEN", "300"))
HEADER_SECONDS = float(os.environ.get("HEADER_SECONDS", "4"))
MOST_MILLISECONDS = 2000.0
_HALVES = (b"", b"GET /account HT", b"GET /account HTTP/1.1\r\nHost: a\r\nX: y\r\n", b"P")


class HalfOpen:
    """One such connection, and how it ended."""

    def __init__(self, number: int) -> None:
        self._drips = number % 3 == 0
        self._half = b"GET /a" if self._drips else _HALVES[number % len(_HALVES)]
        self.seconds = 0.0
        self.answer = b""

    async def last(self, port: int, opened: Callable[[], None]) -> None:
        """Hold it until the server closes it, perhaps sending a byte a second."""
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(self._half)
        opened()
        dripping = asyncio.create_task(_drip(writer)) if self._drips else None
        with suppress(ConnectionError):
            self.answer = await reader.read()
        self.seconds = time.monotonic() - began
        if dripping is not None:
            dripping.cancel()
        writer.transport.abort()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(1)
        writer.write(b"a")


async def good(url: str, *, seconds: float) -> Tally:
    """Ask on a few lines, one thing after the other, for so long."""
    tally, until = Tally(), time.monotonic() + seconds
    make = lambda: message("GET", "/account", key="good")  # noqa: E731
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(ask_on(Line(url), tally, make, until, pause=0.01))
    return tally


async def test_half_open_connections_hold_nobody_up_and_are_closed_in_time(tmp_path: Path) -> None:
    """`HALF_OPEN` says how many, `HEADER_SECONDS` how long they may last. A third of them send a byte a second."""
    config = write_config(tmp_path, accounts={"good": "good"})
    text = config.read_text().replace(
        "[limits]\n", f"[limits]\nconnections_per_address = 0\nheader_timeout = {HEADER_SECONDS}\n"
    )
    config.write_text(text)
    with serving(config, coverage=False) as server, many_files():
        port = int(server.url.rpartition(":")[2])
        alone = await good(server.url, seconds=2)
        before = memory_of(server.process.pid)
        held = [HalfOpen(number) for number in range(HALF_OPEN)]
        opened = asyncio.Semaphore(0)
        async with asyncio.TaskGroup() as group:
            for one in held:
                group.create_task(one.last(port, opened.release))
            for _ in held:
                await opened.acquire()
            beside = await good(server.url, seconds=HEADER_SECONDS / 2)
        grown = memory_of(server.process.pid) - before
        assert server.stop() == 0
    assert beside.statuses.keys() == alone.statuses.keys() == {200} and not beside.broken
    assert quantile(beside.seconds[200], 0.99) < MOST_MILLISECONDS
    answers = {one.answer[:12] for one in held}
    assert answers == {b"", b"HTTP/1.1 408"}
    assert min(one.seconds for one in held) > HEADER_SECONDS / 2
    assert max(one.seconds for one in held) < HEADER_SECONDS + 20
    assert grown < 100_000 * HALF_OPEN + 20_000_000
    print(  # noqa: T201
        f"{HALF_OPEN} half-open: good requests p50 {quantile(beside.seconds[200], 0.5):.1f} ms, "
        f"p99 {quantile(beside.seconds[200], 0.99):.1f} ms (alone {quantile(alone.seconds[200], 0.99):.1f} ms), "
        f"closed after {min(one.seconds for one in held):.1f} to {max(one.seconds for one in held):.1f} s, "
        f"{grown / HALF_OPEN / 1000:.0f} kB each"
    )
