"""That the hostile servers do what their names say, seen by an ordinary client."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from typing import Literal

import aiohttp
import pytest

from fakes import hostile
from fakes.certificates import Authority
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, Request, scripted

# A time limit for what never comes, and for what must.
SHORT = aiohttp.ClientTimeout(total=0.3)


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that closes its connections at the end."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


async def test_a_scripted_server_remembers_what_it_was_asked(client: aiohttp.ClientSession) -> None:
    async with scripted(lambda request: Answer(201, {"X-Seen": request.method}, request.body[::-1])) as server:
        async with client.put(f"{server.url}/a%20b?c=%2B", data=b"abc", headers={"X-Mine": "1"}) as response:
            assert (response.status, response.headers["X-Seen"]) == (201, "PUT")
            assert await response.read() == b"cba"
        async with client.get(server.url) as response:
            assert await response.read() == b""
    first, second = server.requests
    assert (first.method, first.path, first.body) == ("PUT", "/a%20b?c=%2B", b"abc")
    assert first.headers["x-mine"] == "1"
    assert (second.method, second.path) == ("GET", "/")
    assert server.connections == 1


async def test_a_scripted_server_reads_chunks(client: aiohttp.ClientSession) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    async with hostile.accepting() as server:
        response = await client.put(server.url, data=chunks(), expect100=True)
        assert response.status == 200
    assert server.requests[0].body == b"onetwo"
    assert response.headers["ETag"] == f'"{hashlib.md5(b"onetwo").hexdigest()}"'


async def test_a_failed_assertion_in_a_responder_is_not_lost(client: aiohttp.ClientSession) -> None:
    def respond(request: Request) -> Answer:
        raise AssertionError(request.path)

    async def run() -> None:
        async with scripted(respond) as server:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await client.get(f"{server.url}/asked")

    with pytest.raises(AssertionError, match="/asked"):
        await run()


async def test_nobody_listens(client: aiohttp.ClientSession) -> None:
    with hostile.refusing() as url, pytest.raises(aiohttp.ClientConnectorError) as refused:
        await client.put(url)
    assert isinstance(refused.value.os_error, ConnectionRefusedError)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_answer_comes(client: aiohttp.ClientSession, scheme: Literal["http", "https"]) -> None:
    async with hostile.hanging(scheme=scheme) as server:
        with pytest.raises(TimeoutError):
            await client.put(server.url, timeout=SHORT)
        assert server.url.startswith(f"{scheme}://")
        assert server.connections == 1


async def test_an_answer_drips(client: aiohttp.ClientSession) -> None:
    """Some of it comes, so that a limit per read would never strike; the whole does not."""
    async with hostile.dripping(interval=0.01) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"PUT / HTTP/1.1\r\n\r\n")
        assert await reader.readexactly(15) == b"HTTP/1.1 200 OK"
        writer.close()
        with pytest.raises(TimeoutError):
            async with client.put(server.url, timeout=SHORT) as response:
                await response.read()


async def test_no_tls_at_the_tls_port(client: aiohttp.ClientSession) -> None:
    async with hostile.plain_at_tls_port() as server:
        with pytest.raises(aiohttp.ClientConnectorSSLError):
            await client.put(server.url)
    assert server.url.startswith("https://")
    assert server.connections == 1


async def test_bad_certificates_are_seen_as_bad(client: aiohttp.ClientSession, ca: Authority) -> None:
    """Each for its own reason; the good one of the same authority is accepted."""
    contexts = {
        "self-signed": ca.self_signed_context(),
        "expired": ca.server_context(expired=True),
        "mismatch": ca.server_context("elsewhere.example"),
    }
    for reason, context in contexts.items():
        async with hostile.accepting(tls=context) as server:
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match=reason):
                await client.put(server.url, ssl=ca.client_context())
        assert server.requests == []
    async with hostile.accepting(tls=ca.server_context()) as server:
        assert (await client.put(server.url, ssl=ca.client_context())).status == 200


async def test_the_authority_is_not_trusted_by_default(client: aiohttp.ClientSession, ca: Authority) -> None:
    async with hostile.accepting(tls=ca.server_context()) as server:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await client.put(server.url, ssl=ssl.create_default_context())
    assert server.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_leads_to_a_server_that_counts(client: aiohttp.ClientSession, status: int) -> None:
    """A client that follows is seen at the target, one that does not is not."""
    async with hostile.redirecting(status) as redirecting:
        stayed = await client.put(f"{redirecting.url}/a?b=c", allow_redirects=False)
        assert stayed.status == status
        assert stayed.headers["Location"] == f"{redirecting.target.url}/a?b=c"
        assert redirecting.target.connections == 0
        assert (await client.put(f"{redirecting.url}/a?b=c", allow_redirects=True)).ok
        assert [request.path for request in redirecting.target.requests] == ["/a?b=c"]
        assert len(redirecting.server.requests) == 2


async def test_a_redirect_leads_where_it_is_told_to(client: aiohttp.ClientSession) -> None:
    async with hostile.redirecting(302, location="http://169.254.169.254/latest") as redirecting:
        response = await client.put(redirecting.url, allow_redirects=False)
        assert response.headers["Location"] == "http://169.254.169.254/latest"


async def test_a_page_for_everything(client: aiohttp.ClientSession) -> None:
    async with hostile.html() as server:
        put = await client.put(server.url, data=b"x")
        assert await put.read() == hostile.HTML
        assert (await client.delete(server.url)).status == put.status == 200
        assert "ETag" not in put.headers
    assert [request.method for request in server.requests] == ["PUT", "DELETE"]


async def test_a_page_before_the_body_was_read(client: aiohttp.ClientSession) -> None:
    """A body that can't fit into the buffers on the way shows that nobody reads it."""
    async with hostile.html_unread() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"PUT / HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n" + bytes(50_000_000))
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writer.drain(), 0.3)
        writer.transport.abort()


async def test_asked_to_slow_down(client: aiohttp.ClientSession) -> None:
    async with hostile.throttling(retry_after="11") as server, client.put(server.url) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "11")


async def test_a_recorded_error(client: aiohttp.ClientSession) -> None:
    async with hostile.answering(418, {"X-Vendor": "1"}, b"<Error/>") as server:
        response = await client.put(server.url)
        assert (response.status, response.headers["X-Vendor"]) == (418, "1")
        assert await response.read() == b"<Error/>"


async def test_a_clock_that_differs(client: aiohttp.ClientSession) -> None:
    async with hostile.skewed_clock(server_time="2020-02-02T02:02:02Z") as server:
        response = await client.put(server.url)
        text = await response.text()
    assert response.status == 403
    assert "<Code>RequestTimeTooSkewed</Code>" in text
    assert "<ServerTime>2020-02-02T02:02:02Z</ServerTime>" in text


@pytest.mark.parametrize(("after", "seen"), [("accept", 0), ("request", 1)])
async def test_the_connection_is_closed(
    client: aiohttp.ClientSession, after: Literal["accept", "request"], seen: int
) -> None:
    async with hostile.closing(after=after) as server:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.put(server.url, data=b"x")
        assert server.connections >= 1
        assert (len(server.requests) > 0) == (seen > 0)


async def test_a_body_does_not_end(client: aiohttp.ClientSession) -> None:
    async with hostile.endless_body(status=403) as server, client.put(server.url) as response:
        assert response.status == 403
        assert len(await response.content.readexactly(10_000_000)) == 10_000_000
        response.close()


async def test_headers_do_not_end(client: aiohttp.ClientSession) -> None:
    """Read raw, as a client may have a limit of its own."""
    async with hostile.endless_headers() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"PUT / HTTP/1.1\r\n\r\n")
        assert b"\r\n\r\n" not in await reader.readexactly(2_000_000)
        writer.transport.abort()


async def test_the_delete_is_refused(client: aiohttp.ClientSession) -> None:
    async with hostile.undeletable("refuses") as server:
        response = await client.put(server.url, data=b"x")
        assert response.headers["ETag"] == f'"{hashlib.md5(b"x").hexdigest()}"'
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.delete(server.url)


async def test_the_delete_hangs(client: aiohttp.ClientSession) -> None:
    async with hostile.undeletable("hangs") as server:
        assert (await client.put(server.url)).ok
        with pytest.raises(TimeoutError):
            await client.delete(server.url, timeout=SHORT)
    assert [request.method for request in server.requests] == ["PUT", "DELETE"]


async def test_the_delete_is_forbidden(client: aiohttp.ClientSession) -> None:
    async with hostile.undeletable("forbids") as server:
        assert (await client.put(server.url)).ok
        delete = await client.delete(server.url)
        assert delete.status == 403
        assert b"AccessDenied" in await delete.read()


async def test_names_resolve_as_told() -> None:
    resolver = FixedResolver(
        {"one.example": ["127.0.0.1", "::1"], "*.s3.example": ["127.0.0.2"]},
        failing={"down.example"},
        hanging={"slow.example"},
    )
    assert [result["host"] for result in await resolver.resolve("one.example", 443)] == ["127.0.0.1", "::1"]
    assert (await resolver.resolve("a.b.s3.example", 443))[0]["port"] == 443
    for name, message in {"s3.example": "not known", "down.example": "Temporary"}.items():
        with pytest.raises(OSError, match=message):
            await resolver.resolve(name)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(resolver.resolve("slow.example"), 0.1)
    assert resolver.asked == ["one.example", "a.b.s3.example", "s3.example", "down.example", "slow.example"]


async def test_a_client_asks_the_resolver_and_closes_it() -> None:
    resolver = FixedResolver({"storage.example": ["127.0.0.1"]})
    connector = aiohttp.TCPConnector(resolver=resolver)
    async with hostile.accepting() as server, aiohttp.ClientSession(connector=connector) as session:
        assert (await session.put(f"http://storage.example:{server.port}/")).ok
    assert server.requests[0].headers["host"] == f"storage.example:{server.port}"
    assert resolver.asked == ["storage.example"]
