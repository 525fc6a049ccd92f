"""What the server answers by itself, where aiohttp would not use our envelope, and how it starts and stops."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from consignee.log import AccessLogger
from consignee.settings import ServerSettings, Settings
from consignee.web import create_app
from consignee.web.server import CUT_SECONDS, Runner, _grace, serve

Port = int


@pytest.fixture
async def port(settings: Settings) -> AsyncIterator[Port]:
    """The port of a server with our own runner."""
    runner = Runner(create_app(settings), access_log_class=AccessLogger, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def raw(port: Port, request: bytes) -> tuple[int, dict[str, str], Any]:
    """Send bytes and return the status, the headers and the JSON of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET /?api_key=canary-key HTTP/9.9\r\n\r\n",
        b"GET /account?api_key=canary-key HTTP/1.1\r\nHost: a\r\nbad header canary-key\r\n\r\n",
        b"GET /account?api_key=canary-key HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"POST /account HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /account HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(200)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda request: repr(request[:24]),
)
async def test_a_malformed_request_is_answered_in_the_envelope_and_not_echoed(
    port: Port, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    status, headers, answer = await raw(port, request_)
    assert (status, answer["request_info"]["code"]) == (400, "invalid_request")
    assert headers["x-trace-id"]
    assert headers["cache-control"] == "no-store"
    assert "canary-key" not in json.dumps(answer)
    assert "canary-key" not in caplog.text


async def test_an_unknown_expectation_is_ignored_or_refused_in_the_envelope(port: Port) -> None:
    known = b"GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\nConnection: close\r\n\r\n"
    assert (await raw(port, known))[0] == 200
    status, _, answer = await raw(port, known.replace(b"/healthz", b"/nowhere"))
    assert (status, answer["request_info"]["success"]) == (400, False)


async def test_a_client_that_waits_for_100_continue_gets_it(port: Port) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = b"POST /destinations?api_key=key-a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    writer.write(head + b"Content-Length: 2\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    await reader.readline()
    writer.write(b"{}")
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()
    await writer.wait_closed()


async def test_a_client_of_http_1_0_gets_no_100_continue_for_it_knows_none(port: Port) -> None:
    head = b"POST /destinations?api_key=key-a HTTP/1.0\r\nHost: a\r\nContent-Type: application/json\r\n"
    status, _, answer = await raw(port, head + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}")
    assert (status, answer["request_info"]["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"zstd"])
async def test_an_encoded_body_is_415_whatever_its_encoding(port: Port, encoding: bytes) -> None:
    head = b"POST /destinations?api_key=key-a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    request = head + b"Content-Encoding: " + encoding + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    status, _, answer = await raw(port, request)
    assert (status, answer["request_info"]["code"]) == (415, "unsupported_media_type")


async def test_a_body_that_is_cut_off_or_wrongly_chunked_is_refused(port: Port) -> None:
    head = b"POST /destinations?api_key=key-a HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    status, _, answer = await raw(port, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
    assert (status, answer["request_info"]["success"]) == (400, False)


async def test_the_access_log_holds_no_query_string(port: Port, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await raw(port, b"GET /account?api_key=key-a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    (record,) = [record for record in caplog.records if record.name == "aiohttp.access"]
    assert record.getMessage() == "GET /account"
    assert vars(record)["status"] == 200
    assert "key-a" not in caplog.text


async def test_a_fault_of_our_own_says_nothing_of_the_inside(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: web.Request) -> str | None:
        raise RuntimeError("canary-key")

    runner = Runner(create_app(settings, authenticate=broken), access_log_class=AccessLogger)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    request = b"GET /account HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    status, headers, answer = await raw(runner.addresses[0][1], request)
    await runner.cleanup()
    assert (status, answer["request_info"]["code"]) == (500, "internal_error")
    assert answer["request_info"]["trace_id"] == headers["x-trace-id"]
    assert "canary" not in json.dumps(answer)
    assert [record.getMessage() for record in caplog.records if record.name == "consignee.web.errors"]


@asynccontextmanager
async def serving(
    settings: Settings, tmp_path: Path, *arguments: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run `consignee serve` as its users do; yields the process and its URL."""
    config = tmp_path / "config.toml"
    config.write_text(
        f'[store]\npath = "{settings.store.path}"\n[secrets]\nkey_file = "{settings.secrets.key_file}"\n'
        '[[accounts.fixed]]\nname = "ann"\napi_key = "key-a"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "consignee", "serve", "--config", str(config), "--port", "0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield process, (await process.stdout.readline()).decode().strip().rpartition(" ")[2]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_stops_cleanly_when_asked_to(settings: Settings, tmp_path: Path, number: int) -> None:
    async with serving(settings, tmp_path) as (process, url), aiohttp.ClientSession() as session:
        assert url.startswith("http://127.0.0.1:")
        async with session.get(f"{url}/account?api_key=key-a") as response:
            assert response.status == 200
        process.send_signal(number)
        output, errors = await process.communicate()
        assert process.returncode == 0
        assert output == b""
        assert b"Traceback" not in errors
        assert b"key-a" not in errors


async def test_a_request_under_way_is_answered_before_it_stops(settings: Settings, tmp_path: Path) -> None:
    async with serving(settings, tmp_path) as (process, url), aiohttp.ClientSession() as session:
        more = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b'{"type": "s3"'
            await more.wait()
            yield b"}"

        headers = {"Content-Type": "application/json"}
        sent = asyncio.create_task(session.post(f"{url}/destinations?api_key=key-a", data=slow(), headers=headers))
        await asyncio.sleep(0.3)
        process.terminate()
        await asyncio.sleep(0.3)
        more.set()
        async with await sent as response:
            assert response.status == 400
        await process.communicate()
        assert process.returncode == 0


@pytest.mark.parametrize("seconds", [0, 0.3, 5, 25, 3600])
def test_the_time_for_a_stop_is_that_of_all_of_it(seconds: float) -> None:
    """What is cut off in the end, and closing the rest, come out of it too."""
    left = _grace(seconds)
    assert 0 <= left <= seconds
    assert left <= seconds - 2 * CUT_SECONDS or left == seconds * 0.9


async def test_a_second_server_on_the_same_store_is_refused(settings: Settings, tmp_path: Path) -> None:
    async with serving(settings, tmp_path), serving(settings, tmp_path) as (second, line):
        assert line == ""
        _, errors = await second.communicate()
        assert second.returncode == 2
        assert settings.store.path.encode() in errors
        assert b"Traceback" not in errors


async def test_what_it_keeps_is_for_its_owner_alone(settings: Settings, tmp_path: Path) -> None:
    async with serving(settings, tmp_path) as (_, url), aiohttp.ClientSession() as session:
        fields = {"type": "s3", "name": "x", "enabled": "0", "s3_access_key_id": "AKIDCANARY"}
        fields |= {"s3_secret_access_key": "canary-secret", "s3_bucket_name": "bucket"}
        async with session.post(f"{url}/destinations?api_key=key-a", data=fields) as response:
            assert response.status == 200
            text = await response.text()
        kept = [path for path in Path(settings.store.path).rglob("*") if path.is_file()]
        content = b"".join(path.read_bytes() for path in kept)
        assert {path.stat().st_mode & 0o777 for path in (*kept, Path(settings.secrets.key_file))} == {0o600}
        assert Path(settings.store.path).stat().st_mode & 0o777 == 0o700
        for canary in ("AKIDCANARY", "canary-secret"):
            assert canary not in text
            assert canary.encode() not in content


async def test_it_serves_where_it_is_told_to(settings: Settings) -> None:
    """Run in this process: `ready` gets the URL, and the signal is sent to ourselves."""
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        os.kill(os.getpid(), signal.SIGTERM)

    await asyncio.wait_for(serve(replace(settings, server=ServerSettings(host="::1", port=0)), ready=ready), 20)
    assert urls
    assert urls[0].startswith("http://[::1]:")
