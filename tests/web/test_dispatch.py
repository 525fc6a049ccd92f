"""A request that goes straight to its handler gets what aiohttp's router would give it, and all others go through that."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.typedefs import Handler

from consignee.log import AccessLogger
from consignee.settings import Settings
from consignee.web import create_app
from consignee.web.server import Runner

KEY = "api_key=key-a"


async def told(app: web.Application, *requests: bytes) -> list[bytes]:
    """Return how each request, on a connection of its own, is answered: the whole, as it is sent."""
    runner = Runner(app, access_log_class=AccessLogger, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    answers = []
    for request in requests:
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(request + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        answers.append(await asyncio.wait_for(reader.read(), 10))
        writer.close()
        await writer.wait_closed()
    await runner.cleanup()
    return answers


@pytest.fixture
def app(settings: Settings) -> web.Application:
    """The application."""
    return create_app(settings)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"GET /destinations?{KEY}", 200),
        (f"GET /destinations/0A1B2C3D?{KEY}", 404),
        (f"GET /destinations/{{id}}?{KEY}", 404),
        (f"GET /destinations/test?{KEY}", 404),
        (f"GET /destinations/%30A1B2C3D?{KEY}", 404),
        (f"GET /destinations/a.b?{KEY}", 404),
        (f"GET /%64estinations?{KEY}", 200),
        (f"GET //destinations?{KEY}", 404),
        (f"GET /destinations/?{KEY}", 404),
        (f"GET http://a/destinations?{KEY}", 200),
        (f"PATCH /destinations?{KEY}", 404),
        (f"HEAD /destinations?{KEY}", 404),
        ("HEAD /healthz", 200),
        ("OPTIONS *", 404),
    ],
)
async def test_every_way_to_write_a_path_is_answered_as_it_should_be(
    app: web.Application, line: str, status: int
) -> None:
    (answer,) = await told(app, f"{line} HTTP/1.1".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nX-Trace-ID: " in answer
    assert (b'"request_info":' in answer) != line.startswith("HEAD")


async def test_what_somebody_adds_to_the_application_is_asked(app: web.Application) -> None:
    """Its middlewares, and its signals before an answer goes out."""

    @web.middleware
    async def marked(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers["X-Middleware"] = "yes"
        return response

    async def signed(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Signal"] = "yes"

    app.middlewares.append(marked)
    app.on_response_prepare.append(signed)
    (answer,) = await told(app, f"GET /destinations?{KEY} HTTP/1.1".encode())
    assert b"X-Middleware: yes" in answer
    assert b"X-Signal: yes" in answer


@pytest.mark.parametrize("path", ["/part/whose", "/things/12"])
async def test_what_somebody_adds_is_found_as_aiohttp_finds_it(app: web.Application, path: str) -> None:
    """The middlewares of another part are run, with that part as the application; of two routes the first is taken."""
    part, seen = web.Application(), []

    @web.middleware
    async def noted(request: web.Request, handler: Handler) -> web.StreamResponse:
        seen.append(request.path)
        return await handler(request)

    async def whose(request: web.Request) -> web.Response:
        return web.Response(text="right" if request.app is part else "wrong")

    async def right(_: web.Request) -> web.Response:
        return web.Response(text="right")

    async def wrong(_: web.Request) -> web.Response:
        return web.Response(text="wrong")

    part.middlewares.append(noted)
    part.router.add_get("/whose", whose)
    app.add_subapp("/part", part)
    app.router.add_get("/things/{id}", right)
    app.router.add_get("/things/{id:[0-9]+}", wrong)
    (answer,) = await told(app, f"GET {path} HTTP/1.1".encode())
    assert answer.endswith(b"\r\n\r\nright")
    assert (seen == [path]) == path.startswith("/part")


async def test_a_file_server_that_somebody_adds_works(app: web.Application, tmp_path: Path) -> None:
    (tmp_path / "shown").mkdir()
    app.router.add_static("/shown", tmp_path / "shown", show_index=True)
    (answer,) = await told(app, b"GET /shown HTTP/1.1")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("what", ["status", "reason", "content_type"])
async def test_what_a_middleware_changes_in_an_answer_goes_out(app: web.Application, what: str) -> None:
    """Also where the connection stays, and no header was added."""

    @web.middleware
    async def changed(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if what == "content_type":
            response.content_type = "application/vnd.changed+json"
        else:
            response.set_status(203 if what == "status" else 200, "Changed")
        return response

    app.middlewares.append(changed)
    async with TestClient(TestServer(app)) as client, client.get(f"/account?{KEY}") as answer:
        told = {"status": answer.status, "reason": answer.reason, "content_type": answer.content_type}
        expected = {"status": 203, "reason": "Changed", "content_type": "application/vnd.changed+json"}
        assert told[what] == expected[what]
        assert (await answer.json())["request_info"]["success"] is True


async def test_the_headers_are_the_same_however_they_are_sent(app: web.Application) -> None:
    """In one piece where the connection stays, and by aiohttp where it does not."""
    runner = Runner(app, access_log_class=AccessLogger, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    request = f"GET /destinations?{KEY} HTTP/1.1\r\nHost: a\r\n".encode()
    writer.write(request + b"\r\n" + request + b"Connection: close\r\n\r\n")
    sent = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    await runner.cleanup()
    first, second = (_headers(part) for part in sent.split(b"HTTP/1.1 200 OK\r\n")[1:])
    assert second.pop("Connection") == "close"
    assert first.pop("X-Trace-ID") != second.pop("X-Trace-ID")
    for headers in (first, second):
        headers.pop("Date")
        headers.pop("RateLimit")
    assert first == second


def _headers(answer: bytes) -> dict[str, str]:
    lines = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return dict(line.split(": ", 1) for line in lines)
