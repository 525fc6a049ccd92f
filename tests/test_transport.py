"""One request, as it is, through the guarded session; what goes wrong on the way as our own errors."""

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from consignee.body import BytesBody
from consignee.egress import AddressRefused
from consignee.errors import (
    EndpointRefused,
    EndpointUnreachable,
    NotAStorageService,
    ProviderFailure,
    TimedOut,
    TlsFailed,
)
from consignee.outlets import open_outlets
from consignee.providers import s3
from consignee.settings import Settings
from consignee.testing.bodies import StreamedBody
from consignee.transport import ANSWER_BYTES, Trace, Transport, network_failure
from fakes import hostile
from fakes.certificates import Authority
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, scripted
from providers.opening import loopback

KEY = ConnectionKey("s3.example", 443, True, True, None, None, None, None)
HEADERS: Mapping[str, str] = {"X-Mine": "yes"}


@asynccontextmanager
async def transport(settings: Settings | None = None, trace: Trace | None = None) -> AsyncIterator[Transport]:
    """Yield the transport of customers' endpoints."""
    async with open_outlets(settings or loopback()) as outlets:
        yield outlets.transport(s3.PROVIDER, trace)


async def test_a_request_is_sent_as_it_is() -> None:
    """Neither the path nor the headers are touched; nothing is added but what HTTP needs."""
    async with hostile.answering(418, {"X-Its": "too"}, b"teapot") as server, transport() as sender:
        path = "/a%20b/%2e%2e/%2F/c;d?e=%2B+&f"
        answer = await sender.send("PUT", server.url + path, headers=HEADERS, body=BytesBody(b"content"))
    assert (answer.status, answer.headers["x-its"], answer.headers["X-ITS"], answer.body) == (
        418,
        "too",
        "too",
        b"teapot",
    )
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("PUT", path, b"content")
    assert request.headers["x-mine"] == "yes"
    assert not {"cookie", "authorization", "expect", "referer"} & set(request.headers)


async def test_a_streamed_body_is_sent_whole() -> None:
    async with hostile.accepting() as server, transport() as sender:
        headers = {"Content-Length": "6"}
        await sender.send("PUT", server.url, headers=headers, body=StreamedBody(b"one", b"two"))
    assert server.requests[0].body == b"onetwo"


@pytest.mark.parametrize("size", [ANSWER_BYTES - 1, ANSWER_BYTES, ANSWER_BYTES + 1, 10 * ANSWER_BYTES])
async def test_an_answer_is_cut_at_the_limit(size: int) -> None:
    """And the connection, which holds the rest, is not used again."""
    async with hostile.answering(400, None, b"x" * size) as server, transport() as sender:
        first = await sender.send("PUT", server.url, headers={})
        assert len(first.body) == min(size, ANSWER_BYTES)
        assert len((await sender.send("PUT", server.url, headers={})).body) == min(size, ANSWER_BYTES)


async def test_an_answer_without_end_is_cut() -> None:
    async with hostile.endless_body(status=403) as server, transport() as sender:
        answer = await sender.send("PUT", server.url, headers={})
    assert (answer.status, len(answer.body)) == (403, ANSWER_BYTES)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_redirect_is_an_answer_like_others(status: int, method: str) -> None:
    async with hostile.redirecting(status) as redirecting, transport() as sender:
        answer = await sender.send(method, redirecting.url, headers={})
        assert answer.status == status
        assert redirecting.target.connections == 0


async def test_no_cookie_is_kept() -> None:
    """All customers share the session."""
    async with hostile.answering(200, {"Set-Cookie": "a=b; Path=/"}) as server, transport() as sender:
        await sender.send("PUT", server.url, headers={})
        await sender.send("PUT", server.url, headers={})
    assert [request.headers.get("cookie") for request in server.requests] == [None, None]


async def test_a_compressed_answer_is_not_unpacked() -> None:
    """A small one can be a very large one."""
    async with hostile.answering(400, {"Content-Encoding": "gzip"}, b"not gzip") as server, transport() as sender:
        answer = await sender.send("PUT", server.url, headers={})
    assert answer.body == b"not gzip"
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_an_operators_endpoint_has_its_own_session() -> None:
    """There the address needs no permission; for what customers name it does."""
    closed = replace(loopback(), egress=replace(loopback().egress, allow=()))
    async with hostile.accepting() as server:
        async with transport(replace(closed, providers=loopback(s3=server.url).providers)) as sender:
            assert sender.endpoint_url == server.url
            assert (await sender.send("PUT", server.url, headers={})).status == 200
        async with transport(closed) as sender:
            assert sender.endpoint_url == ""
            with pytest.raises(EndpointRefused):
                await sender.send("PUT", server.url, headers={})
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"HTTP/9.9 what\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http(raw: bytes) -> None:
    async def said() -> Any:
        yield raw

    async with scripted(lambda _: Answer(raw=said())) as server, transport() as sender:
        with pytest.raises(ProviderFailure) as failed:
            await sender.send("PUT", server.url, headers={})
    assert failed.value.code in ("not_a_storage_service", "endpoint_unreachable")


async def test_an_answer_that_breaks_off() -> None:
    async def said() -> Any:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"

    async with scripted(lambda _: Answer(raw=said())) as server, transport() as sender:
        with pytest.raises(EndpointUnreachable, match="broke"):
            await sender.send("PUT", server.url, headers={})


@pytest.mark.parametrize("url", ["http://[::1", "http://", "gopher://127.0.0.1/", "http://127.0.0.1:99999/"])
async def test_what_is_no_url(url: str) -> None:
    """The schema lets none of these through; if one comes all the same, it is a failure like others."""
    async with transport() as sender:
        with pytest.raises(EndpointUnreachable):
            await sender.send("PUT", url, headers={})


async def test_a_cancelled_request_lets_go_of_its_connection() -> None:
    async with hostile.hanging() as server, transport() as sender:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await sender.send("PUT", server.url, headers={})
        assert server.connections == 1


async def test_a_trace_sees_resolving_and_connecting(ca: Authority) -> None:
    trace = Trace()
    resolver = FixedResolver({"s3.localhost": ["127.0.0.1"]})
    async with (
        hostile.accepting(tls=ca.server_context()) as server,
        open_outlets(loopback(ca=ca.pem), resolver=resolver) as outlets,
    ):
        sender = outlets.transport(s3.PROVIDER, trace)
        await sender.send("PUT", f"https://s3.localhost:{server.port}", headers={})
        before = dict(trace.spent)
        await sender.send("PUT", f"https://s3.localhost:{server.port}", headers={})
    assert set(before) == {"resolve", "connect"}
    assert all(ms >= 0 for ms in before.values())
    assert trace.spent == before, "the connection was open already"
    assert trace.current is None


def caused(error: Exception, cause: BaseException) -> Exception:
    """Return the error as raised from the cause."""
    error.__cause__ = cause
    return error


def certificate_error(code: int) -> Exception:
    """Return what aiohttp raises for a certificate with that fault."""
    inner = ssl.SSLCertVerificationError(1, "secret detail")
    inner.verify_code = code
    return caused(aiohttp.ClientConnectorCertificateError(KEY, inner), inner)


REQUEST_INFO: Any = None


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_NONAME, "secret detail")),
            EndpointUnreachable,
            "was not found",
        ),
        (
            aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(errno.ECONNREFUSED, "secret detail")),
            EndpointUnreachable,
            "Nobody accepts",
        ),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "secret detail")), TlsFailed, "does not speak TLS"),
        (certificate_error(10), TlsFailed, "it has expired"),
        (certificate_error(18), TlsFailed, "it is self-signed"),
        (certificate_error(62), TlsFailed, "it is for another name"),
        (certificate_error(64), TlsFailed, "it is for another address"),
        (certificate_error(9999), TlsFailed, "it is not valid"),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("secret detail")),
            TlsFailed,
            "it is not valid",
        ),
        (TimeoutError("secret detail"), TimedOut, "in time"),
        (aiohttp.ServerTimeoutError("secret detail"), TimedOut, "in time"),
        (aiohttp.ConnectionTimeoutError("secret detail"), TimedOut, "in time"),
        (aiohttp.SocketTimeoutError("secret detail"), TimedOut, "in time"),
        (aiohttp.ServerDisconnectedError("secret detail"), EndpointUnreachable, "broke"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "secret detail"), EndpointUnreachable, "broke"),
        (aiohttp.ClientPayloadError("secret detail"), EndpointUnreachable, "broke"),
        (aiohttp.ClientResponseError(REQUEST_INFO, (), message="secret detail"), NotAStorageService, "not HTTP"),
        (aiohttp.InvalidURL("http://secret detail"), EndpointUnreachable, "not a valid address"),
        (ssl.SSLError(1, "secret detail"), EndpointUnreachable, "broke"),
        (OSError(errno.ENETUNREACH, "secret detail"), EndpointUnreachable, "broke"),
        (ValueError("secret detail"), EndpointUnreachable, "broke"),
        (AddressRefused("10.0.0.1", "secret detail"), EndpointRefused, "may not connect"),
        (
            aiohttp.ClientConnectorError(KEY, AddressRefused("10.0.0.1", "secret detail")),
            EndpointRefused,
            "may not connect",
        ),
    ],
)
def test_every_error_of_the_network_has_its_meaning(error: Exception, kind: type[ProviderFailure], said: str) -> None:
    failure = network_failure(error)
    assert type(failure) is kind
    assert said in str(failure)
    assert "secret detail" not in f"{failure!r} {failure.hint}"
    assert "10.0.0.1" not in f"{failure!r} {failure.hint}"


def test_no_error_of_the_client_is_without_a_meaning() -> None:
    """Each class that aiohttp's client may raise is one of those that are caught."""
    caught = (aiohttp.ClientError, OSError, ValueError)
    prefixes = ("Client", "Server", "Connection", "Socket", "Invalid")
    named = [getattr(aiohttp, name) for name in dir(aiohttp) if name.startswith(prefixes)]
    errors = [one for one in named if isinstance(one, type) and issubclass(one, Exception)]
    assert len(errors) > 10
    assert [error for error in errors if not issubclass(error, caught)] == []
