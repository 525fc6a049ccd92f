"""How a delivery is followed: bars on a terminal, Ctrl-C, a storage that refuses, a service that is away for a while."""

import asyncio
import json
import os
import pty
import re
import signal
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any, Final

from commands.customer import KEY, SECONDS, USER, Customer, command, succeeded
from consignee.demo.faults import running_faults
from fakes.scripted import Answer, Request, scripted
from samples.serving import environment


def _interruptible() -> None:
    """Whoever runs the tests may have had this signal ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def started(arguments: list[str], **streams: Any) -> asyncio.subprocess.Process:
    """Start the command."""
    return await asyncio.create_subprocess_exec(*arguments, env=environment(), preexec_fn=_interruptible, **streams)


async def read_until(stream: asyncio.StreamReader | None, text: str) -> str:
    """Return the line that holds the text."""
    assert stream is not None
    async with asyncio.timeout(SECONDS):
        while line := (await stream.readline()).decode():
            if text in line:
                return line
    raise AssertionError(f"it never said {text!r}")


async def test_after_ctrl_c_the_delivery_goes_on(customer: Customer, swift_bucket: str, file: Path) -> None:
    async with running_faults(customer.storage.url) as faults:
        id_ = await asyncio.to_thread(customer.destination, swift_bucket, name="Busy", url=faults.url)
        collection = await asyncio.to_thread(customer.collection, "Interrupted", id_)
        faults.refuse()
        arguments = customer.command("--collection", collection, file)
        process = await started(arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        line = await read_until(process.stderr, "Busy: retrying, 0 of 1 files: Attempt 1 failed")
        assert line.endswith("Next attempt in 1 s.\n")
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
        assert process.returncode == 130
        where = f"{customer.service.url}/collections/{collection}/results/1"
        assert said.decode().splitlines()[-1] == f"consignee: interrupted; the delivery goes on: GET {where}"
        assert b"Traceback" not in said
        faults.heal()
        await succeeded(customer, collection)
    assert await customer.storage.read(USER, swift_bucket, "1/file.txt") == b"content"


async def test_a_terminal_shows_a_bar_for_each_destination(customer: Customer, swift_bucket: str, file: Path) -> None:
    """They are drawn one over the other, without wrapping, and end full."""
    names = ["Café", "A destination whose name is longer than the column for it"]
    ids = [await asyncio.to_thread(customer.destination, swift_bucket, name=name) for name in names]
    collection = await asyncio.to_thread(customer.collection, "Seen", *ids)
    master, slave = pty.openpty()
    try:
        arguments = customer.command("--collection", collection, file)
        process = await started(arguments, stdout=asyncio.subprocess.PIPE, stderr=slave)
        os.close(slave)
        drawn, (said, _) = await asyncio.gather(asyncio.to_thread(_read_all, master), process.communicate())
    finally:
        os.close(master)
    assert process.returncode == 0
    assert "\x1b" not in said.decode()
    last = drawn.split("\x1b[?7l")[-1]
    assert last.endswith("\x1b[?7h")
    assert "\x1b[2A" in last
    rows = re.findall(r"\r(.+?) (\[#{20}\] 100%  success, 1 of 1 files)\x1b\[K\r?\n", last)
    assert [name for name, _ in rows] == [f"{'Café':24}", names[1][:24]]


def _read_all(descriptor: int) -> str:
    read = b""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # the other end was closed
            return read.decode()
        if not chunk:
            return read.decode()
        read += chunk


COLLECTION: Final = "0000ABCD"


def _answer(**content: Any) -> Answer:
    body = json.dumps({"request_info": {"success": True}, **content}).encode()
    return Answer(200, {"Content-Type": "application/json"}, body)


def _refused(status: int, message: str) -> Answer:
    body = json.dumps({"request_info": {"success": False, "message": message}}).encode()
    return Answer(status, {"Content-Type": "application/json"}, body)


def _result(status: str) -> Answer:
    log = [{"date_time": "2030-01-01T00:00:00Z", "text": "An \x1b[1mentry."}]
    counts = {"files_total": 1, "files_done": 0, "bytes_done": 0, "attempts": 1}
    delivery = {"status": status, "log": log, **counts, "next_attempt_at": None, "code": None}
    times = dict.fromkeys(("started_at", "ended_at", "expires_at"), "2030-01-01T00:00:00Z")
    rest: dict[str, Any] = {"files": [], "download_links": {"pages": []}, "webhook_status": None, **times}
    return _answer(collection_id=COLLECTION, result={"id": 7, "destination_status": {"AAAA0000": delivery}, **rest})


def _collections() -> Answer:
    times = dict.fromkeys(("created_at", "updated_at"), "2030-01-01T00:00:00Z")
    rest: dict[str, Any] = {
        "destination_ids": [],
        "notification_webhook": None,
        "manifest": False,
        "secrets_set": [],
        **times,
    }
    counts = {"total_count": 1, "total_pages": 1, "current_page": 1, "count_this_page": 1}
    one = {"id": COLLECTION, "name": "Reports", "results_count": 6, "next_result_set_id": 7, **rest}
    return _answer(**counts, collections=[one])


def service(*then: Callable[[], Answer]) -> Callable[[Request], Answer]:
    """Return a service that takes a result set, and answers to each question about it what comes next."""
    answers: Iterator[Callable[[], Answer]] = iter(then)

    def respond(request: Request) -> Answer:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        if request.path.startswith("/api/collections?"):
            return _collections()
        if request.method == "POST":
            return _result("pending")
        return next(answers)() if request.path.endswith("/results/7") else _refused(404, "gone")

    return respond


def _cut_off() -> Answer:
    async def beginning() -> AsyncGenerator[bytes, None]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"

    return Answer(raw=beginning())


async def _never() -> AsyncGenerator[bytes, None]:
    await asyncio.Event().wait()
    yield b""


async def follow(responder: Callable[[Request], Answer], file: Path) -> tuple[int | None, str, str]:
    """Deliver a file to that service; return the status and what was said."""
    async with scripted(responder) as server:
        arguments = command("--url", f"{server.url}/api/", "--key-file", "-", "--collection", "Reports", file)
        process = await started(arguments, **dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE))
        said, told = await process.communicate(KEY.encode())
    assert KEY not in said.decode() + told.decode()
    return process.returncode, said.decode(), told.decode()


async def test_a_service_that_is_away_for_a_while_is_followed_on(file: Path) -> None:
    """As through a restart: cut off, overloaded, then a proxy's page."""
    away = (_cut_off, lambda: _refused(503, "busy"), lambda: _refused(429, "slow"), lambda: Answer(502, {}, b"<html>"))
    status, said, told = await follow(service(*away, lambda: _result("success")), file)
    assert (status, said) == (
        0,
        f"result set 7 of collection {COLLECTION}: 1 file, 7 bytes\nAAAA0000: success, 0 of 1 files\n",
    )
    assert "Traceback" not in told


async def test_a_result_set_that_can_no_longer_be_seen_is_status_1(file: Path) -> None:
    """It was taken in, and nobody knows what became of it: that is no wrong usage."""
    status, _, told = await follow(service(lambda: _refused(404, "There is no such result set.")), file)
    assert status == 1
    assert "There is no such result set.; whether all is delivered is not known: GET http://" in told


async def test_what_a_service_says_does_not_steer_the_terminal(file: Path) -> None:
    status, said, told = await follow(service(lambda: _result("failed")), file)
    assert status == 1
    assert "failed, 0 of 1 files: An \N{REPLACEMENT CHARACTER}[1mentry." in said
    assert "\x1b" not in said + told


async def test_ctrl_c_before_the_service_has_confirmed_promises_nothing(file: Path) -> None:
    asked = asyncio.Event()

    def respond(request: Request) -> Answer:
        if request.method == "POST":
            asked.set()
            return Answer(raw=_never())
        return service()(request)

    async with scripted(respond) as server:
        arguments = command("--url", f"{server.url}/api", "--key-file", "-", "--collection", COLLECTION, file)
        process = await started(arguments, **dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE))
        assert process.stdin is not None
        process.stdin.write(f"{KEY}\n".encode())
        await asyncio.wait_for(asked.wait(), SECONDS)
        process.send_signal(signal.SIGINT)
        said, told = await process.communicate()
    assert (process.returncode, said) == (130, b"")
    assert "interrupted before the service confirmed" in told.decode().splitlines()[-1]
    assert "goes on" not in told.decode()


async def test_a_redirect_is_not_followed(file: Path) -> None:
    """Elsewhere, nobody must see the key."""
    status, said, told = await follow(lambda _: Answer(307, {"Location": "http://127.0.0.1:9/"}), file)
    assert (status, said) == (2, "")
    assert "with status 307 is not consignee" in told
