"""The S3 server of the chaos tests stores and counts, and misbehaves as it is told."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from fakes.chaos_client import ChaosClient, chaos_client
from fakes.chaos_faults import KINDS, Plan
from fakes.chaos_process import ChaosServer, chaos_process
from fakes.chaos_state import Stored

SHA256 = hashlib.sha256(b"hello").hexdigest()


@pytest.fixture(scope="module")
def running() -> Iterator[ChaosServer]:
    """One server for all tests, whose buckets are each test's own."""
    with chaos_process("bucket-*", keep=True) as server:
        yield server


@pytest.fixture
def server(running: ChaosServer) -> Iterator[ChaosServer]:
    """The server, without faults before and after the test."""
    yield running
    running.set_faults()


@pytest.fixture
async def client(server: ChaosServer) -> AsyncIterator[ChaosClient]:
    """A client with the right key."""
    async with chaos_client(server) as client:
        yield client


def code(body: bytes) -> str:
    """Return the code in an error document."""
    return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


async def test_stores_what_is_rightly_signed_and_counts_it(server: ChaosServer, client: ChaosClient) -> None:
    path = "/bucket-count/a%20folder/%C3%BC%2B~%281%29.csv"
    for _ in range(2):
        answer = await client.send("PUT", path, b"hello")
        assert (answer.status, answer.body) == (200, b"")
        assert answer.headers["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
        assert answer.headers["x-amz-request-id"]
    state = server.state()
    assert state.objects["bucket-count/a folder/ü+~(1).csv"] == Stored(SHA256, 5, 2)
    assert state.repeated >= 1
    assert server.content("bucket-count/a folder/ü+~(1).csv") == b"hello"
    assert state.most_at_once["bucket-count"] == 1 and state.busy["bucket-count"] == 0


async def test_forgets_what_is_deleted_and_deletes_what_is_not_there(server: ChaosServer, client: ChaosClient) -> None:
    await client.send("PUT", "/bucket-delete/a", b"hello")
    for _ in range(2):
        assert (await client.send("DELETE", "/bucket-delete/a")).status == 204
    assert not [name for name in server.state().objects if name.startswith("bucket-delete/")]


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [("error500", 500, "InternalError"), ("error503", 503, "SlowDown"), ("refuse", 403, "AccessDenied")],
)
async def test_a_fault_answers_and_stores_nothing(
    server: ChaosServer, client: ChaosClient, fault: str, status: int, error: str
) -> None:
    before = server.state()
    faults: dict[str, Any] = {fault: 1, "retry_after": 7}
    server.set_faults(**faults)
    answer = await client.send("PUT", f"/bucket-{fault}/a", bytes(900_000))
    assert (answer.status, code(answer.body)) == (status, error)
    assert answer.headers.get("Retry-After") == ("7" if fault == "error503" else None)
    after = server.state()
    assert f"bucket-{fault}/a" not in after.objects
    assert after.faults[fault] - before.faults.get(fault, 0) == 1
    assert after.requests["put"] - before.requests.get("put", 0) == 1
    assert after.answers[str(status)] - before.answers.get(str(status), 0) == 1


async def test_an_error_after_storing(server: ChaosServer, client: ChaosClient) -> None:
    server.set_faults(error_after=1)
    answer = await client.send("PUT", "/bucket-after/a", b"hello")
    assert (answer.status, code(answer.body)) == (500, "InternalError")
    assert server.state().objects["bucket-after/a"] == Stored(SHA256, 5, 1)


@pytest.mark.parametrize(("fault", "stored"), [("drop", False), ("drop_after", True), ("cut", True)])
async def test_a_connection_that_ends_without_an_answer(
    server: ChaosServer, client: ChaosClient, fault: str, stored: bool
) -> None:
    faults: dict[str, Any] = {fault: 1}
    server.set_faults(**faults)
    with pytest.raises(aiohttp.ClientError):
        await client.send("PUT", f"/bucket-{fault}/a", b"hello")
    assert (f"bucket-{fault}/a" in server.state().objects) is stored


async def test_a_cut_answer_is_half_of_it(server: ChaosServer, client: ChaosClient) -> None:
    headers = "".join(f"{name}: {value}\r\n" for name, value in client.signed("DELETE", "/bucket-half/a").items())
    request = f"DELETE /bucket-half/a HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n{headers}\r\n".encode()

    async def answered() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port)
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n") if whole else await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer

    whole = True
    expected = await answered()
    server.set_faults(cut=1)
    whole = False
    assert len(await answered()) == len(expected) // 2


@pytest.mark.parametrize("faults", [{"stall": 1}, {"dead": True}])
async def test_a_stalled_request_is_never_answered_and_closed_in_the_end(
    server: ChaosServer, client: ChaosClient, faults: dict[str, Any]
) -> None:
    server.set_faults(**faults, stall_seconds=0.05)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.send("PUT", "/bucket-stall/a", b"hello")
    server.set_faults(**faults)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.send("PUT", "/bucket-stall/a", b"hello")
    assert "bucket-stall/a" not in server.state().objects


async def test_a_stalled_request_ends_with_its_client(server: ChaosServer) -> None:
    server.set_faults(stall=1)
    with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0)) as connection:
        connection.sendall(b"PUT /bucket-left/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        while server.state().busy.get("bucket-left") != 1:
            await asyncio.sleep(0.01)
    while server.state().busy["bucket-left"]:
        await asyncio.sleep(0.01)
    assert server.state().most_at_once["bucket-left"] == 1


async def test_a_bucket_has_faults_of_its_own(server: ChaosServer, client: ChaosClient) -> None:
    server.set_faults(bucket="bucket-bad", error500=1, slow=1)
    assert (await client.send("PUT", "/bucket-bad/a", b"hello")).status == 500
    assert (await client.send("PUT", "/bucket-good/a", b"hello")).status == 200
    server.set_faults(bucket="bucket-bad")
    assert (await client.send("PUT", "/bucket-bad/a", b"hello")).status == 200


async def test_faults_befall_only_the_operations_that_are_named(server: ChaosServer, client: ChaosClient) -> None:
    server.set_faults(error500=1, on=["delete"])
    assert (await client.send("PUT", "/bucket-on/a", b"hello")).status == 200
    assert (await client.send("DELETE", "/bucket-on/a")).status == 500


async def test_a_delay_and_a_slow_bucket_add_up(server: ChaosServer, client: ChaosClient) -> None:
    server.set_faults(delay=100)
    server.set_faults(bucket="bucket-slow", slow=100)
    begun = asyncio.get_running_loop().time()
    assert (await client.send("PUT", "/bucket-slow/a", b"hello")).status == 200
    assert asyncio.get_running_loop().time() - begun >= 0.19
    server.set_faults(bucket="bucket-slow")


def test_faults_that_make_no_sense_are_refused(server: ChaosServer) -> None:
    for faults in ({"drop": 0.6, "cut": 0.5}, {"drop": -1}, {"unknown": 1}):
        with pytest.raises(ValueError, match="error"):
            server.set_faults(**faults)


def test_a_seed_repeats_the_faults_with_their_probabilities() -> None:
    def drawn(seed: int) -> list[str | None]:
        plan = Plan(dict.fromkeys(KINDS, 0.05), seed=seed)
        return [plan.draw(plan.of("bucket-a"), "put") for _ in range(10_000)]

    first = drawn(1)
    assert drawn(1) == first != drawn(2)
    assert all(400 < first.count(kind) < 600 for kind in KINDS)
    assert 5700 < first.count(None) < 6300


async def test_gives_back_what_it_keeps_whole_or_in_part(server: ChaosServer, client: ChaosClient) -> None:
    """As S3 does: an open range, one that goes beyond the end, and one that begins there."""
    await client.send("PUT", "/bucket-get/a", b"hello")
    whole = await client.send("GET", "/bucket-get/a")
    assert (whole.status, whole.body) == (200, b"hello")
    for asked, body, told in (("1-3", b"ell", "1-3/5"), ("3-", b"lo", "3-4/5"), ("4-99", b"o", "4-4/5")):
        headers = client.signed("GET", "/bucket-get/a", headers={"range": f"bytes={asked}"})
        answer = await client.send("GET", "/bucket-get/a", headers={**headers, "range": f"bytes={asked}"})
        assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, body, f"bytes {told}")
    headers = client.signed("GET", "/bucket-get/a", headers={"range": "bytes=5-6"})
    beyond = await client.send("GET", "/bucket-get/a", headers={**headers, "range": "bytes=5-6"})
    assert (beyond.status, code(beyond.body)) == (416, "InvalidRange")
    absent = await client.send("GET", "/bucket-get/b")
    assert (absent.status, code(absent.body)) == (404, "NoSuchKey")
