"""How long an answer may be, and that a connection which is closed is gone: at the edge, and measured."""

import asyncio
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import create_server
from typing import Final

import pytest

from consignee.body import BytesBody
from consignee.errors import NotAStorageService, ProviderFailure, TimedOut
from consignee.outlets import open_outlets
from consignee.providers import s3
from consignee.receiving import MOST
from fakes.faults import ENDLESS, Fault
from fakes.line import Line, switchboard
from providers.opening import loopback

LONG: Final = 60.0
INTERIM: Final = b"HTTP/1.1 102 Processing\r\n\r\n"


async def outcome(fault: Fault) -> str:
    """Send a small body to a server that does that; return how it ended."""

    async def play(line: Line, number: int) -> None:
        await fault.play(line)

    async with switchboard(play) as board, open_outlets(loopback()) as outlets:
        try:
            url = f"http://127.0.0.1:{board.port}/"
            answer = await outlets.transport(s3.PROVIDER).send("PUT", url, headers={}, body=BytesBody(b"x"))
            return str(answer.status)
        except ProviderFailure as failure:
            return failure.code


@pytest.mark.parametrize("name", ENDLESS)
async def test_memory_stays_bounded_whatever_has_no_end(name: str) -> None:
    """It is given up by its length and not by its time, of which there is a minute."""
    tracemalloc.start()
    try:
        async with asyncio.timeout(LONG / 2):
            found = await outcome(ENDLESS[name])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found in ("403", ENDLESS[name].code)
    assert peak < 8 * MOST
    print(f"\n{name}: at most {peak / 1e6:.1f} MB")  # noqa: T201


async def answered(interim: int) -> int:
    """Return the status of an answer after so many interim ones."""

    async def play(line: Line, number: int) -> None:
        await line.open()
        await line.request()
        await line.say(INTERIM * interim + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: x\r\n\r\n")
        await line.left_alone()

    async with switchboard(play) as board, open_outlets(loopback()) as outlets:
        return (await outlets.transport(s3.PROVIDER).send("PUT", f"http://127.0.0.1:{board.port}/", headers={})).status


async def test_a_few_interim_answers_are_passed_over() -> None:
    assert await answered(100) == 200
    with pytest.raises(NotAStorageService):
        await answered(MOST // len(INTERIM) + 1)


async def test_each_answer_on_a_connection_counts_for_itself() -> None:
    """Many ordinary answers in a row are longer together than one may be."""

    async def play(line: Line, number: int) -> None:
        await line.open()
        while True:
            await line.request()
            await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + bytes(60_000))

    async with switchboard(play) as board, open_outlets(loopback()) as outlets:
        sender = outlets.transport(s3.PROVIDER)
        for _ in range(2 * MOST // 60_000):
            assert (await sender.send("PUT", f"http://127.0.0.1:{board.port}/", headers={})).status == 200
        assert board.connections == 1


@contextmanager
def flooding() -> Iterator[int]:
    """Yield the port of a server, in a thread of its own, that sends interim answers as fast as it can."""
    with create_server(("127.0.0.1", 0)) as listener:

        def flood() -> None:
            with suppress(OSError), listener.accept()[0] as accepted:
                accepted.recv(65536)
                while True:
                    accepted.sendall(INTERIM * 10_000)

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(LONG)


async def test_a_flood_of_interim_answers_is_over_soon() -> None:
    """Others have their turns meanwhile; the longest wait is printed."""
    waits = [0.0]

    async def others() -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            waits.append(now - before)
            before = now

    with flooding() as port:
        beating = asyncio.create_task(others())
        async with open_outlets(loopback()) as outlets, asyncio.timeout(LONG / 2):
            with pytest.raises(NotAStorageService):
                await outlets.transport(s3.PROVIDER).send("PUT", f"http://127.0.0.1:{port}/", headers={})
        beating.cancel()
    assert len(waits) > 3
    print(f"\nothers waited {max(waits) * 1000:.0f} ms at most")  # noqa: T201


async def test_what_is_taken_too_slowly_is_given_up_though_there_is_progress() -> None:
    """By the average rate: each piece is in time, and without such a rate the same upload would go on."""
    taken = {1: 0, 2: 0}

    async def play(line: Line, number: int) -> None:
        await line.open()
        length = int((await line.head()).headers["content-length"])
        while taken[number] < length:
            taken[number] += len(await line.reader.read(262_144))
            await asyncio.sleep(0.02)
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    body = BytesBody(bytes(16 * 1024 * 1024))
    async with switchboard(play) as board, open_outlets(loopback()) as outlets:
        sender, url = outlets.transport(s3.PROVIDER), f"http://127.0.0.1:{board.port}/"
        sender._idle, sender._least = 1.0, 10**9
        with pytest.raises(TimedOut):
            await sender.send("PUT", url, headers={}, body=body)
        assert 0 < taken[1] < body.length
        sender._idle, sender._least = LONG, 0
        assert (await sender.send("PUT", url, headers={}, body=body)).status == 200
    assert taken[2] == body.length


@pytest.mark.parametrize("least", [1000, 10**9])
async def test_what_the_system_still_holds_makes_progress_too(least: int) -> None:
    """It takes all at once, though the other end reads for longer than the idle limit; only the least rate ends that."""
    idle, taken = 2.0, 0

    async def play(line: Line, number: int) -> None:
        nonlocal taken
        await line.open()
        length = int((await line.head()).headers["content-length"])
        while taken < length:
            read = await line.reader.read(32_768)
            if not read:
                return
            taken += len(read)
            await asyncio.sleep(0.1)
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    body = BytesBody(bytes(2 * 1024 * 1024))
    async with switchboard(play) as board, open_outlets(loopback()) as outlets:
        sender = outlets.transport(s3.PROVIDER)
        sender._idle, sender._least = idle, least
        begun, url = time.monotonic(), f"http://127.0.0.1:{board.port}/"
        if least > 1000:
            with pytest.raises(TimedOut):
                await sender.send("PUT", url, headers={}, body=body)
        else:
            assert (await sender.send("PUT", url, headers={}, body=body)).status == 200
            assert time.monotonic() - begun > 2 * idle
        assert (taken == body.length) == (least == 1000)
