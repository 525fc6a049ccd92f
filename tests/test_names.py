"""Asking for names: in threads of their own, bounded in number, that nobody has to wait for."""

import asyncio
import socket
import subprocess
import sys
import threading
from typing import Any, Final

import pytest

from consignee.names import Names

LONG: Final = 30.0


def answering(*places: tuple[Any, ...]) -> Any:
    """Return what looks a name up: to these."""
    return lambda *_: [
        (socket.AF_INET6 if len(place) > 2 else socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places
    ]


async def test_the_answer_of_the_system_is_returned() -> None:
    """A scope stays with its address, so that the policy sees it."""
    names = Names(look_up=answering(("192.0.2.1", 443), ("2001:db8::1", 443, 0, 0), ("fe80::1", 443, 0, 2)))
    found = await names.resolve("storage.example", 443)
    assert [(one["host"], one["port"]) for one in found] == [
        ("192.0.2.1", 443),
        ("2001:db8::1", 443),
        ("fe80::1%2", 443),
    ]
    assert {one["hostname"] for one in found} == {"storage.example"}
    await names.close()


async def test_it_is_the_systems_resolver_that_is_asked() -> None:
    found = await Names().resolve("localhost", 80)
    assert {one["host"] for one in found} <= {"127.0.0.1", "::1"} and found


@pytest.mark.parametrize(
    "error",
    [socket.gaierror(socket.EAI_NONAME, "no"), UnicodeError("too long"), OSError("no"), ValueError("null byte")],
)
async def test_a_failure_is_an_oserror(error: Exception) -> None:
    """And its place is free again."""

    def fail(*_: Any) -> Any:
        raise error

    names = Names(at_once=1, look_up=fail)
    for _ in range(2):
        async with asyncio.timeout(LONG):
            with pytest.raises(OSError, match=str(error.args[-1]) if isinstance(error, OSError) else "not a name"):
                await names.resolve("storage.example", 443)


async def test_a_thread_that_can_not_start_is_an_oserror_and_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names = Names(at_once=1, look_up=answering(("192.0.2.1", 443)))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        for _ in range(2):
            with pytest.raises(OSError, match="no thread"):
                await names.resolve("storage.example", 443)
    assert len(await names.resolve("storage.example", 443)) == 1


async def test_names_that_nobody_answers_hold_up_neither_others_nor_the_disk() -> None:
    """A hundred lookups hang; what runs in the loop's own threads goes on, and so does a lookup that is answered."""
    release, hanging = threading.Event(), threading.Semaphore(0)

    def look_up(host: str, *_: Any) -> Any:
        if host.startswith("hangs"):
            hanging.release()
            release.wait(LONG)
        return answering(("192.0.2.1", 443))()

    names = Names(at_once=128, look_up=look_up)
    asked = [asyncio.create_task(names.resolve(f"hangs-{number}.example", 443)) for number in range(100)]
    try:
        async with asyncio.timeout(LONG):
            for _ in asked:
                await asyncio.to_thread(hanging.acquire)
            assert await asyncio.to_thread(lambda: "the disk") == "the disk"
            assert len(await names.resolve("storage.example", 443)) == 1
    finally:
        release.set()
    assert len(await asyncio.gather(*asked)) == 100


async def test_no_more_are_asked_for_at_once_than_there_are_places() -> None:
    """A place is kept until the system has answered, also by who has given up waiting."""
    release, began = threading.Event(), threading.Semaphore(0)

    def look_up(*_: Any) -> Any:
        began.release()
        release.wait(LONG)
        return answering(("192.0.2.1", 443))()

    names = Names(at_once=1, look_up=look_up)
    first = asyncio.create_task(names.resolve("one.example", 443))
    await asyncio.to_thread(began.acquire)
    first.cancel()
    second = asyncio.create_task(names.resolve("two.example", 443))
    await asyncio.wait([first])
    assert not await asyncio.to_thread(began.acquire, timeout=0.05)
    release.set()
    assert len(await second) == 1


async def test_who_finds_no_place_in_time_fails_and_leaves_the_queue() -> None:
    """So that lookups which nobody awaits any more, as their requests were given up, do not wait before those of others."""
    release, began, asked = threading.Event(), threading.Semaphore(0), []

    def look_up(host: str, *_: Any) -> Any:
        asked.append(host)
        began.release()
        release.wait(LONG)
        return answering(("192.0.2.1", 443))()

    names = Names(at_once=1, patience=0.05, look_up=look_up)
    hanging = asyncio.create_task(names.resolve("hangs.example", 443))
    try:
        await asyncio.to_thread(began.acquire)
        async with asyncio.timeout(LONG):
            for number in range(3):
                with pytest.raises(OSError, match="too many"):
                    await names.resolve(f"late-{number}.example", 443)
    finally:
        release.set()
    await hanging
    assert len(await names.resolve("storage.example", 443)) == 1
    assert asked == ["hangs.example", "storage.example"]


def test_a_lookup_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    program = (
        "import asyncio, time\n"
        "from consignee.names import Names\n"
        "async def main():\n"
        "    names = Names(look_up=lambda *_: time.sleep(600))\n"
        "    task = asyncio.create_task(names.resolve('hangs.example', 443))\n"
        "    await asyncio.wait([task], timeout=0.1)\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=120, check=False).returncode == 0
