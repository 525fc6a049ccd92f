"""How files arrive: from which clients, cut off, slowly, in any amount."""

import asyncio
import subprocess
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from aiohttp import web

from consignee.settings import LimitsSettings, Settings
from consignee.web import create_app
from consignee.web.errors import BadRequest
from consignee.web.server import Runner
from consignee.web.uploads import Pace

from .conftest import Client, Start, collected, form
from .test_server import serving

BEGUN = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="%b"\r\n\r\n'
END = b"\r\n--XX--\r\n"
ODD = "Büro; \"1\" 100% 日本 🎉 'x'.txt"


def head(client: Client, path: str, *headers: bytes) -> bytes:
    """Return the head of a request with a multipart body."""
    first = f"POST {path}/results HTTP/1.1\r\nHost: {client.host}\r\nX-API-Key: key-a\r\n".encode()
    return b"\r\n".join([first + b"Content-Type: multipart/form-data; boundary=XX", *headers]) + b"\r\n\r\n"


async def dialled(client: Client) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to the service."""
    return await asyncio.open_connection(client.host, client.port)


async def status_of(reader: asyncio.StreamReader) -> int:
    """Return the status of the answer that comes."""
    return int((await asyncio.wait_for(reader.readline(), 20)).split()[1])


async def emptied(incoming: Path) -> None:
    """Return when nothing lies in the folder any more."""
    async with asyncio.timeout(20):
        while [*incoming.iterdir()]:
            await asyncio.sleep(0.01)


async def filled(incoming: Path) -> None:
    """Return when the content of a file is on its way there."""
    async with asyncio.timeout(20):
        while not [*incoming.iterdir()]:
            await asyncio.sleep(0.01)


async def names_of(client: Client, collection: str) -> list[str]:
    """Return the names of the files of the first result set."""
    answer = await (await client.get(f"{collection}/results/1")).json()
    return [one["name"] for one in answer["result"]["files"]]


async def test_the_names_that_requests_sends_arrive_as_they_are(client: Client) -> None:
    """But for a quotation mark, which it writes as browsers do: %22."""
    collection = await collected(client)
    url = str(client.make_url(f"{collection}/results"))
    files = [("f", (ODD, b"x")), ("f", ("plain.txt", b"y"))]
    response = await asyncio.to_thread(requests.post, url, files=files, headers={"X-API-Key": "key-a"}, timeout=20)
    assert response.status_code == 200, response.text
    assert await names_of(client, collection) == [ODD.replace('"', "%22"), "plain.txt"]


async def test_the_names_that_curl_sends_arrive_as_they_are(client: Client, tmp_path: Path) -> None:
    """Old ones put a backslash before a quotation mark, newer ones write it as browsers do."""
    collection = await collected(client)
    paths = [tmp_path / "Büro 100% 日本 🎉.txt", tmp_path / 'a;"b".txt']
    for path in paths:
        path.write_bytes(b"content")
    url = str(client.make_url(f"{collection}/results"))
    quoted = [str(path).replace('"', '\\"') for path in paths]
    fields = [part for index, path in enumerate(quoted) for part in ("-F", f'f{index}=@"{path}"')]
    command = ["curl", "-sS", "--fail", "-H", "X-API-Key: key-a", "-F", "ended_at=2026-01-31", *fields, url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    assert done.returncode == 0, done
    first, second = await names_of(client, collection)
    assert first == paths[0].name
    assert second in (paths[1].name, paths[1].name.replace('"', "%22"))


async def test_the_names_that_aiohttp_sends_arrive_as_they_are(client: Client) -> None:
    collection = await collected(client)
    response = await client.post(f"{collection}/results", data=form({ODD: b"x", "a\tb".replace("\t", " "): b""}))
    assert response.status == 200
    assert await names_of(client, collection) == [ODD, "a b"]


@pytest.mark.parametrize("stop", ["close", "abort", "half"])
async def test_a_client_that_goes_away_leaves_nothing_behind(client: Client, incoming: Path, stop: str) -> None:
    """One file is whole by then, another half; the body was to be much longer."""
    collection = await collected(client)
    _, writer = await dialled(client)
    writer.write(head(client, collection, b"Content-Length: 10000000"))
    writer.write(BEGUN % b"a" + b"whole\r\n" + BEGUN % b"b" + b"x" * 600_000)
    await filled(incoming)
    if stop == "half":
        writer.write_eof()
    elif stop == "abort":
        writer.transport.abort()
    else:
        writer.close()
    await emptied(incoming)
    writer.close()
    assert (await (await client.get(f"{collection}/results")).json())["results"] == []
    assert [*(incoming.parent / "kept").iterdir()] == []


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_without_its_last_boundary_is_refused(client: Client, incoming: Path, chunked: bool) -> None:
    """Its length is right: only the boundary tells that something is missing."""
    collection = await collected(client)
    reader, writer = await dialled(client)
    content = BEGUN % b"a" + b"content"
    if chunked:
        sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        writer.write(head(client, collection, b"Transfer-Encoding: chunked") + sent)
    else:
        writer.write(head(client, collection, b"Content-Length: %d" % len(content)) + content)
    assert await status_of(reader) == 400
    writer.close()
    assert [*incoming.iterdir()] == []


async def test_a_body_that_stands_still_is_given_up(start: Start, settings: Settings, incoming: Path) -> None:
    client = await start(replace(settings, limits=LimitsSettings(body_timeout=1.5)))
    collection = await collected(client)
    reader, writer = await dialled(client)
    writer.write(head(client, collection, b"Content-Length: 10000000") + BEGUN % b"a" + b"content")
    assert await status_of(reader) == 408
    assert b"request_timeout" in await reader.readuntil(b"}")
    writer.close()
    await emptied(incoming)


async def test_a_body_may_take_longer_than_that_as_long_as_it_goes_on(start: Start, settings: Settings) -> None:
    client = await start(replace(settings, limits=LimitsSettings(body_timeout=1, upload_bytes_per_second=0)))
    collection = await collected(client)

    async def slowly() -> AsyncIterator[bytes]:
        yield BEGUN % b"a"
        for _ in range(8):
            await asyncio.sleep(0.2)
            yield b"x"
        yield END

    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    response = await client.post(f"{collection}/results", data=slowly(), headers=headers)
    assert (response.status, (await response.json())["result"]["files"][0]["size"]) == (200, 8)


async def test_a_body_that_drips_is_given_up(start: Start, settings: Settings, incoming: Path) -> None:
    """It holds a place that others wait for, however short each wait is."""
    client = await start(replace(settings, limits=LimitsSettings(body_timeout=1)))
    collection = await collected(client)
    reader, writer = await dialled(client)
    writer.write(head(client, collection, b"Content-Length: 10000000") + BEGUN % b"a" + b"content")
    answered = asyncio.create_task(status_of(reader))
    while not answered.done():
        writer.write(b"x")
        await asyncio.wait([answered], timeout=0.05)
    assert await answered == 408
    assert b"request_timeout" in await reader.readuntil(b"}")
    writer.close()
    await emptied(incoming)


def test_the_rate_of_a_body_counts_anew_from_time_to_time() -> None:
    """Nobody can send much at once, and then hold the place for as long as that would have lasted."""
    pace = Pace(LimitsSettings(body_timeout=10, upload_bytes_per_second=1000))
    pace.note(10**9, 29.9)
    pace.note(0, 0.1)
    pace.note(29_999, 29.9)
    pace.note(1, 0.1)
    pace.note(29_000, 29.9)
    with pytest.raises(BadRequest, match="less than 1000 bytes a second") as caught:
        pace.note(999, 0.1)
    assert caught.value.code == "request_timeout"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/mixed; boundary=XX"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=XX", "Content-Encoding": "identity"}, 415),
        ({"Content-Type": "multipart/form-data"}, 400),
        ({"Content-Type": "multipart/form-data; boundary=YY"}, 400),
    ],
)
async def test_only_multipart_is_taken(client: Client, headers: dict[str, str], status: int) -> None:
    collection = await collected(client)
    response = await client.post(f"{collection}/results", data=BEGUN % b"a" + END, headers=headers)
    assert response.status == status
    assert (await response.json())["request_info"]["success"] is False


async def test_an_encoded_file_is_refused(client: Client, incoming: Path) -> None:
    collection = await collected(client)
    encoded = (BEGUN % b"b").replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    body = BEGUN % b"a" + b"x\r\n" + encoded + b"eA==" + END
    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    response = await client.post(f"{collection}/results", data=body, headers=headers)
    assert (response.status, (await response.json())["request_info"]["code"]) == (415, "unsupported_media_type")
    assert [*incoming.iterdir()] == []


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [("", b"key-a", 200), ("", b"wrong", 401), ("/collections/FFFFFFFF", b"key-a", 404)],
)
async def test_nothing_is_read_before_it_is_known_that_it_is_wanted(
    client: Client, path: str, key: bytes, status: int
) -> None:
    """A client that waits for 100 is spared sending gigabytes that nobody takes."""
    path = path or await collected(client)
    reader, writer = await dialled(client)
    content = BEGUN % b"a" + b"content" + END
    asked = head(client, path, b"Expect: 100-continue", b"Content-Length: %d" % len(content))
    writer.write(asked.replace(b"X-API-Key: key-a", b"X-API-Key: " + key))
    told = await status_of(reader)
    if told == 100:
        await reader.readline()
        writer.write(content)
        told = await status_of(reader)
    assert told == status
    writer.close()


async def test_a_refused_upload_is_answered_while_it_still_goes_on(client: Client) -> None:
    """And the connection is not used for anything else."""
    reader, writer = await dialled(client)
    writer.write(head(client, "/collections/FFFFFFFF", b"Content-Length: 10000000") + BEGUN % b"a")
    assert await status_of(reader) == 404
    assert b"connection: close" in (await reader.readuntil(b"\r\n\r\n")).lower()
    writer.close()


async def test_a_collection_that_is_deleted_meanwhile_gets_nothing_more(client: Client, incoming: Path) -> None:
    collection = await collected(client)
    reader, writer = await dialled(client)
    content = BEGUN % b"a" + b"x" * 300_000 + END
    writer.write(head(client, collection, b"Content-Length: %d" % len(content)) + content[:-20])
    await filled(incoming)
    await client.delete(collection)
    writer.write(content[-20:])
    assert await status_of(reader) == 404
    writer.close()
    await emptied(incoming)
    assert [*(incoming.parent / "kept").iterdir()] == []


async def test_the_number_of_other_fields_is_limited(start: Start, settings: Settings) -> None:
    client = await start(replace(settings, limits=LimitsSettings(form_fields=3)))
    collection = await collected(client)
    for count, status in ((3, 200), (4, 400)):
        data = form({"a": b""}, **{f"field {number}": "x" for number in range(count)})
        assert (await client.post(f"{collection}/results", data=data)).status == status


async def test_memory_stays_bounded_however_large_a_file_is(client: Client) -> None:
    """50 MB in one file: neither the body nor the file is ever in memory as a whole. The client here sends from one piece."""
    collection = await collected(client)
    size, piece = 50_000_000, bytes(50_000)

    async def content() -> AsyncIterator[bytes]:
        yield BEGUN % b"large"
        for _ in range(size // len(piece)):
            yield piece
        yield END

    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        response = await client.post(f"{collection}/results", data=content(), headers=headers)
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert (response.status, (await response.json())["result"]["files"][0]["size"]) == (200, size)
    assert most < 8_000_000


async def test_what_is_answered_is_still_there_after_a_kill(settings: Settings, tmp_path: Path) -> None:
    """And what was not answered is not there, in no part."""
    auth = {"X-API-Key": "key-a"}
    async with serving(settings, tmp_path) as (process, url), aiohttp.ClientSession(headers=auth) as session:
        fields = {"name": "x", "destination_ids": ""}
        async with session.post(f"{url}/collections", data=fields) as response:
            id_ = (await response.json())["collection"]["id"]
        async with session.post(f"{url}/collections/{id_}/results", data=form({"a": b"content"})) as response:
            assert response.status == 200
        half = asyncio.create_task(_half(session, f"{url}/collections/{id_}/results"))
        await filled(Path(settings.store.path) / "spool" / "incoming")
        process.kill()
        with pytest.raises(aiohttp.ClientError):
            await half
    async with serving(settings, tmp_path) as (_, url), aiohttp.ClientSession(headers=auth) as session:
        async with session.get(f"{url}/collections/{id_}/results") as response:
            assert [one["id"] for one in (await response.json())["results"]] == [1]
        async with session.get(f"{url}/collections/{id_}/results/1/files/a") as response:
            assert await response.read() == b"content"
    assert [*(Path(settings.store.path) / "spool" / "incoming").iterdir()] == []
    assert len([*(Path(settings.store.path) / "spool" / "kept").iterdir()]) == 1


async def _half(session: aiohttp.ClientSession, url: str) -> Any:
    async def content() -> AsyncIterator[bytes]:
        yield BEGUN % b"b" + bytes(600_000)
        await asyncio.Event().wait()

    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    async with session.post(url, data=content(), headers=headers) as response:
        return response.status


async def test_a_client_that_went_away_before_it_was_asked_for_the_body_is_no_fault(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """It is gone when `100 Continue` is written; the request goes on, as in `consignee serve`, and ends by itself."""
    gone = asyncio.Event()

    async def authenticate(request: web.Request) -> str:
        """Return when the connection is lost, if the client waits to be asked for the body."""
        while "Expect" in request.headers and request.transport is not None:
            await asyncio.sleep(0.01)
        gone.set()
        return "ann"

    runner = Runner(create_app(settings, authenticate=authenticate))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = runner.addresses[0]
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{address[1]}/collections"
        async with session.post(url, json={"name": "x", "destination_ids": []}) as response:
            path = f"/collections/{(await response.json())['collection']['id']}/results"
    gone.clear()
    _, writer = await asyncio.open_connection(*address[:2])
    lines = [
        b"Host: a",
        b"Content-Type: multipart/form-data; boundary=XX",
        b"Expect: 100-continue",
        b"Content-Length: 9",
    ]
    writer.write(b"\r\n".join([f"POST {path} HTTP/1.1".encode(), *lines, b"", b""]))
    await writer.drain()
    writer.transport.abort()
    await asyncio.wait_for(gone.wait(), 20)
    await runner.drain(20)
    await runner.cleanup()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
