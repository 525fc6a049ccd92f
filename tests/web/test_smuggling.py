"""Requests that two readers may read differently: refused whole, the connection closed, and what follows never carried out."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from consignee.log import AccessLogger
from consignee.settings import Settings
from consignee.web import create_app
from consignee.web.keys import DESTINATIONS
from consignee.web.server import Runner

Server = tuple[web.Application, int]

_BODY = json.dumps(
    {
        "type": "s3",
        "name": "Smuggled",
        "enabled": False,
        "s3_access_key_id": "id",
        "s3_secret_access_key": "secret",
        "s3_bucket_name": "bucket",
    }
).encode()
NEXT = (
    b"POST /destinations HTTP/1.1\r\nHost: a\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY
"""What must not be carried out; it makes a destination, which is seen in the store."""

_POST = b"POST /destinations/test HTTP/1.1\r\nHost: a\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\n"
_GET = b"GET /healthz HTTP/1.1\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"


def coded(value: bytes, *, head: bytes = _POST) -> bytes:
    """Return a request with that Transfer-Encoding, and a body of no chunks."""
    return head + b"Transfer-Encoding:" + value + b"\r\n\r\n0\r\n\r\n"


def sized(value: bytes) -> bytes:
    """Return a request with that Content-Length, and a body of three bytes."""
    return _POST + b"Content-Length:" + value + b"\r\n\r\nabc"


REFUSED: Mapping[str, bytes] = {
    "two lengths": _POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "one length twice": _POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": sized(b" 3, 3"),
    "length, then chunked": _POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then length": _POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "negative length": sized(b" -1"),
    "length with plus": sized(b" +3"),
    "hexadecimal length": sized(b" 0x3"),
    "huge length": sized(b" 99999999999999999999999"),
    "length of 2^63": sized(b" 9223372036854775808"),
    "length of 2^64 - 1": sized(b" 18446744073709551615"),
    "empty length": sized(b""),
    "length of two words": sized(b" 3 3"),
    "length with underscore": sized(b" 0_3"),
    "length with vertical tab": sized(b" 3\x0b"),
    "chunked twice": coded(b" chunked, chunked"),
    "identity, chunked": coded(b" identity, chunked"),
    "chunked, identity": coded(b" chunked, identity"),
    "identity": coded(b" identity"),
    "gzip, chunked": coded(b" gzip, chunked"),
    "comma before chunked": coded(b" , chunked"),
    "space before the colon": _POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "tab before the colon": _POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "vertical tab before chunked": coded(b"\x0bchunked"),
    "xchunked": coded(b" xchunked"),
    "chunkedx": coded(b" chunkedx"),
    "quoted chunked": coded(b' "chunked"'),
    "chunked with a parameter": coded(b" chunked;a=b"),
    "no coding": coded(b""),
    "two codings": _POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "folded chunked": coded(b"\r\n chunked"),
    "chunked in HTTP/1.0": coded(b" chunked", head=_POST.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n"),
    "two hosts": _GET + b"Host: a\r\nHost: b\r\n\r\n",
    "no host": _GET + b"\r\n",
    "empty host": _GET + b"Host:\r\n\r\n",
    "a list of hosts": _GET + b"Host: a, b\r\n\r\n",
    "a host with a user": _GET + b"Host: a@b\r\n\r\n",
    "a host with a path": _GET + b"Host: a/b\r\n\r\n",
    "folded line": _GET + b"Host: a\r\nX: 1\r\n 2\r\n\r\n",
    "folded first line": _GET + b" Host: a\r\nX: 1\r\n\r\n",
    "bare LF": b"GET /healthz HTTP/1.1\nHost: a\n\n",
    "bare LF after the request line": b"GET /healthz HTTP/1.1\nHost: a\r\n\r\n",
    "bare LF after a header": _GET + b"Host: a\nX: 1\r\n\r\n",
    "bare LF at the end": _GET + b"Host: a\r\n\n",
    "bare CR": _GET + b"Host: a\rX: 1\r\n\r\n",
    "bare CR before a coding": _GET + b"Host: a\r\nX: 1\rTransfer-Encoding: chunked\r\n\r\n",
    "two CR": _GET + b"Host: a\r\r\n\r\n",
    "NUL in a value": _GET + b"Host: a\r\nX: a\0b\r\n\r\n",
    "NUL in a name": _GET + b"Host: a\r\nX\0: a\r\n\r\n",
    "NUL in the target": b"GET /healthz\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "control characters": _GET + b"Host: a\r\nX: a\x01\x7fb\r\n\r\n",
    "space before a colon": _GET + b"Host : a\r\n\r\n",
    "no colon": _GET + b"Host: a\r\nX\r\n\r\n",
    "no name": _GET + b"Host: a\r\n: x\r\n\r\n",
    "odd name": _GET + b"Host: a\r\nF(o: x\r\n\r\n",
    "chunk size that overflows": _CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "negative chunk size": _CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n",
    "chunk size with 0x": _CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk size with underscore": _CHUNKED + b"0_2\r\n{}\r\n0\r\n\r\n",
    "chunk size with a space": _CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "chunk extension with LF": _CHUNKED + b"2;a\n{}\r\n0\r\n\r\n",
    "chunk extension with CR": _CHUNKED + b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    "chunk extension with NUL": _CHUNKED + b"2;a\0b\r\n{}\r\n0\r\n\r\n",
    "chunk size that ends in LF": _CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "chunk without an end": _CHUNKED + b"2\r\n{}0\r\n\r\n",
    "chunk that ends in LF": _CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "chunk that ends in XX": _CHUNKED + b"2\r\n{}XX0\r\n\r\n",
    "last chunk that ends in LF": _CHUNKED + b"2\r\n{}\r\n0\n\n",
    "last line of LF": _CHUNKED + b"2\r\n{}\r\n0\r\n\n",
    "length in a trailer": _CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
    "coding in a trailer": _CHUNKED + b"2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "another host": b"GET http://other/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "another port": b"GET http://a:81/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "a user at the host": b"GET http://u@a/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "another scheme": b"GET ftp://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "a host alone": b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /healthz#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/1.2": b"GET /healthz HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http/1.1": b"GET /healthz http/1.1\r\nHost: a\r\n\r\n",
    "tabs in the request line": b"GET\t/healthz\tHTTP/1.1\r\nHost: a\r\n\r\n",
}

READ_AS_MEANT: Mapping[str, bytes] = {
    "chunks": _CHUNKED + b"2\r\n{}\r\n0\r\n\r\n",
    "CHUNKED": coded(b" CHUNKED"),
    "tab before chunked": coded(b"\tchunked"),
    "chunk extension": _CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n",
    "trailer": _CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    "length with zeros": sized(b" 003"),
    "the same host": b"GET http://a/healthz?x HTTP/1.1\r\nHost: A\r\n\r\n",
    "an absolute target in HTTP/1.0": b"GET http://a/healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "a host in IPv6": _GET + b"Host: [::1]:8080\r\n\r\n",
    "a body where none is needed": _GET + b"Host: a\r\nContent-Length: 2\r\n\r\n{}",
    "empty lines before": b"\r\n\r\n" + _GET + b"Host: a\r\n\r\n",
}


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[Server]:
    """The application with our own runner, and its port."""
    app = create_app(settings)
    runner = Runner(app, access_log_class=AccessLogger, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield app, runner.addresses[0][1]
    await runner.cleanup()


async def answered(port: int, *pieces: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Send the pieces, one by one, and return status and content of each answer; on return the server has closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    receiving = asyncio.create_task(received(reader))
    with suppress(ConnectionError):  # it has closed while we were still sending
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02 if len(pieces) > 1 else 0)
    answers = await asyncio.wait_for(receiving, 20)
    writer.transport.abort()
    return list(parsed(answers))


async def received(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server closes, also if it does so with a reset."""
    pieces = []
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            pieces.append(piece)
    return b"".join(pieces)


def parsed(rest: bytes) -> list[tuple[int, dict[str, Any]]]:
    """Return status and content of each answer."""
    found = []
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers["content-length"])
        found.append((int(first.split()[1]), json.loads(rest[:length])))
        rest = rest[length:]
    return found


async def made(server: Server) -> int:
    """Return how many destinations there are."""
    return (await server[0][DESTINATIONS].usage("ann")).used


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused_and_what_follows_is_never_carried_out(server: Server, name: str) -> None:
    """Whether it comes at once, or the head alone first, or what follows only after the whole of it."""
    sent = REFUSED[name]
    head, end, body = sent.partition(b"\r\n\r\n")
    for pieces in ([sent + NEXT], [head + end, body + NEXT], [sent, NEXT]):
        answers = await answered(server[1], *pieces)
        assert await made(server) == 0
        assert [status for status, _ in answers] == [400], (answers, pieces)
        assert answers[0][1]["request_info"]["success"] is False
        assert answers[0][1]["request_info"]["code"] in ("invalid_request", "invalid_json")


@pytest.mark.parametrize("name", READ_AS_MEANT)
async def test_what_can_be_read_in_one_way_only_is_served(server: Server, name: str) -> None:
    """And the request that follows it is carried out, once."""
    answers = await answered(server[1], READ_AS_MEANT[name] + NEXT)
    assert len(answers) == 2
    assert answers[1][0] == 200
    assert await made(server) == 1


@pytest.mark.parametrize(
    "protocol",
    [
        b"Upgrade: websocket\r\nConnection: upgrade",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
        b"Upgrade: x",
    ],
)
@pytest.mark.parametrize("first", [_GET + b"Host: a\r\n", _POST + b"Content-Length: 0\r\n"], ids=["GET", "POST"])
async def test_who_asks_for_another_protocol_is_answered_in_this_one_and_not_a_second_time(
    server: Server, protocol: bytes, first: bytes
) -> None:
    """Some clients always ask for HTTP/2, so it is no fault; but somebody in between may think that it was agreed to."""
    sent = first + protocol + b"\r\n\r\n"
    for pieces in ([sent + NEXT], [sent, NEXT]):
        answers = await answered(server[1], *pieces)
        assert [status for status, _ in answers] == [200 if first.startswith(b"GET") else 400]
        assert await made(server) == 0


@pytest.mark.parametrize("name", ["two lengths", "another host", "HTTP/0.9"])
async def test_what_came_before_a_refused_request_is_carried_out_if_it_is_answered_so(
    server: Server, name: str
) -> None:
    """The parser drops what came in one piece with what it refuses, and then nothing is said of that."""
    keeping = NEXT.replace(b"Connection: close\r\n", b"")
    for pieces in ([keeping, REFUSED[name] + NEXT], [keeping + REFUSED[name] + NEXT]):
        before = await made(server)
        statuses = [status for status, _ in await answered(server[1], *pieces)]
        assert statuses[-1] == 400 and len(pieces) <= len(statuses) <= 2
        assert await made(server) - before == statuses.count(200)


async def test_a_refusal_quotes_nothing_of_what_was_sent(server: Server) -> None:
    for sent in (b"GET http://canary/ HTTP/1.1\r\nHost: a\r\n\r\n", _GET + b"Host: a canary\r\n\r\n"):
        ((_, content),) = await answered(server[1], sent)
        assert "canary" not in json.dumps(content)
