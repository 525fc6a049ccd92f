"""consignee as a part of somebody's own application, and with no HTTP at all."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import ClientSession, TraceConfig, TraceRequestEndParams, web
from pytest_aiohttp.plugin import AiohttpClient

import consignee
from consignee import ConsigneeError, open_destinations
from consignee.errors import InvalidDestination, NotFound, SettingsError, VerificationFailed
from consignee.events import DestinationTested, Event
from consignee.providers.memory import MemoryStorage
from consignee.settings import Settings
from consignee.store.memory import MemoryStore
from consignee.web import DESTINATIONS, setup
from fakes.obliging import obliging
from fakes.scripted import scripted
from providers.kinds import KINDS

from .conftest import FIELDS


async def who(request: web.Request) -> str | None:
    """The host application's own login."""
    return {"cookie-of-ann": "ann"}.get(request.cookies.get("login", ""))


@pytest.fixture
def host(settings: Settings, storage: MemoryStorage) -> web.Application:
    """An application with a page of its own, and consignee under a prefix."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="the host's own page")

    app = web.Application()
    app.router.add_get("/page", page)
    setup(app, settings, prefix="/storage", authenticate=who, providers=[storage.provider])
    return app


async def test_it_lives_beside_the_hosts_own_routes(host: web.Application, aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(host, cookies={"login": "cookie-of-ann"})
    assert await (await client.get("/page")).text() == "the host's own page"
    response = await client.post("/storage/destinations", json=FIELDS)
    assert response.status == 200
    listed = await (await client.get("/storage/destinations")).json()
    assert [one["name"] for one in listed["destinations"]] == ["Mine"]
    assert listed["request_info"] == {"success": True}


async def test_the_hosts_own_login_decides(host: web.Application, aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(host)
    response = await client.get("/storage/account?api_key=key-a")
    assert (response.status, (await response.json())["request_info"]["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (web.HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"}), "unauthorized"),
        (web.HTTPForbidden(reason="No storage in your plan"), "unauthorized"),
        (web.HTTPNotFound(), "not_found"),
        (web.HTTPTooManyRequests(headers={"Retry-After": "77"}), "rate_limited"),
        (web.HTTPPaymentRequired(), "invalid_request"),
        (web.HTTPBadGateway(), "unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, web.HTTPException) else value,
)
async def test_the_hosts_own_login_may_refuse_in_its_own_way(
    settings: Settings, aiohttp_client: AiohttpClient, refusal: web.HTTPException, code: str
) -> None:
    """Its status, reason and headers, in our envelope."""

    async def refuse(request: web.Request) -> str | None:
        raise refusal

    app = web.Application()
    setup(app, settings, prefix="/storage", authenticate=refuse)
    response = await (await aiohttp_client(app)).get("/storage/account")
    info = (await response.json())["request_info"]
    assert (response.status, info) == (refusal.status, {"success": False, "code": code, "message": refusal.reason})
    assert response.content_type == "application/json" and response.headers["X-Trace-ID"]
    for name in ("WWW-Authenticate", "Retry-After"):
        assert response.headers.get(name) == refusal.headers.get(name)


async def test_the_hosts_own_login_may_send_the_customer_elsewhere(
    settings: Settings, aiohttp_client: AiohttpClient
) -> None:
    async def refuse(request: web.Request) -> str | None:
        to_login = web.HTTPFound("/login?next=storage")
        to_login.set_cookie("next", "storage")
        raise to_login

    app = web.Application()
    setup(app, settings, prefix="/storage", authenticate=refuse)
    response = await (await aiohttp_client(app)).get("/storage/account", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (302, "/login?next=storage")
    assert response.cookies["next"].value == "storage" and await response.read() == b""


async def test_keys_that_the_hosts_own_login_refuses_count_as_wrong_ones(
    settings: Settings, aiohttp_client: AiohttpClient
) -> None:
    async def refuse(request: web.Request) -> str | None:
        raise web.HTTPUnauthorized

    here = replace(settings, limits=replace(settings.limits, wrong_keys_per_minute=1, wrong_keys_burst=2))
    app = web.Application()
    setup(app, here, prefix="/storage", authenticate=refuse)
    client = await aiohttp_client(app)
    assert [(await client.get("/storage/account")).status for _ in range(3)] == [401, 401, 429]


async def test_our_envelope_ends_where_the_prefix_ends(host: web.Application, aiohttp_client: AiohttpClient) -> None:
    client = await aiohttp_client(host)
    ours = await client.get("/storage/nowhere")
    assert (ours.status, (await ours.json())["request_info"]["code"]) == (404, "not_found")
    assert ours.headers["X-Trace-ID"]
    theirs = await client.get("/nowhere")
    assert theirs.status == 404
    assert "X-Trace-ID" not in theirs.headers
    assert "request_info" not in await theirs.text()


async def test_the_host_keeps_its_loop_signals_loggers_and_environment(
    host: web.Application, aiohttp_client: AiohttpClient
) -> None:
    def state() -> tuple[object, ...]:
        root = logging.getLogger()
        handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        return dict(os.environ), handlers, root.handlers[:], root.level, asyncio.get_running_loop()

    before = state()
    client = await aiohttp_client(host, cookies={"login": "cookie-of-ann"})
    assert (await client.post("/storage/destinations", json=FIELDS)).status == 200
    assert state() == before
    await client.close()
    assert state() == before


async def test_two_of_them_can_live_in_one_host(
    settings: Settings, storage: MemoryStorage, aiohttp_client: AiohttpClient
) -> None:
    app = web.Application()
    for name in ("first", "second"):
        own = replace(settings, store=replace(settings.store, path=f"{settings.store.path}-{name}"))
        setup(app, own, prefix=f"/{name}", authenticate=who, providers=[storage.provider])
    client = await aiohttp_client(app, cookies={"login": "cookie-of-ann"})
    assert (await client.post("/first/destinations", json=FIELDS)).status == 200
    assert (await (await client.get("/second/account")).json())["account_info"]["destinations_used"] == 0


async def test_the_host_is_told_what_happens(
    settings: Settings, storage: MemoryStorage, aiohttp_client: AiohttpClient
) -> None:
    """With the id that its own login gave; and what it does with that harms nobody."""
    events: list[Event] = []

    def told(event: Event) -> None:
        events.append(event)
        raise RuntimeError("of the host's")

    app = web.Application()
    setup(app, settings, prefix="", authenticate=who, on_event=told, providers=[storage.provider])
    client = await aiohttp_client(app, cookies={"login": "cookie-of-ann"})
    assert (await client.post("/destinations", json=FIELDS)).status == 200
    assert (await client.post("/destinations", json={**FIELDS, "memory_secret": "wrong"})).status == 400
    tested = [event for event in events if isinstance(event, DestinationTested)]
    assert [(one.account, one.destination_type, one.code) for one in tested] == [
        ("ann", "memory", None),
        ("ann", "memory", "credentials_rejected"),
    ]
    assert "memory-secret" not in repr(events)


@pytest.mark.parametrize("prefix", ["", "/storage"])
async def test_the_hosts_traces_hear_of_what_is_sent(
    settings: Settings, aiohttp_client: AiohttpClient, prefix: str
) -> None:
    """By a session that is made when the host starts, and closed by it."""
    heard: list[str] = []
    config = TraceConfig()

    async def seen(_: ClientSession, __: object, parameters: TraceRequestEndParams) -> None:
        heard.append(f"{parameters.method} {parameters.url} {parameters.response.status}")

    config.on_request_end.append(seen)
    sessions: list[ClientSession] = []

    async def session(_: web.Application) -> AsyncIterator[None]:
        async with ClientSession(trace_configs=[config]) as made:
            sessions.append(made)
            yield

    app = web.Application()
    app.cleanup_ctx.append(session)
    setup(app, settings, prefix=prefix, session=lambda: sessions[0])
    async with scripted(obliging) as server:
        client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
        fields = dict(KINDS["s3compatible"].fields_at(server.url))
        assert (await client.post(f"{prefix}/destinations", json=fields)).status == 200
        await client.close()
        assert heard == [f"PUT {server.url} 200", f"DELETE {server.url} 204"]


async def test_a_session_that_can_not_be_used_is_refused_at_once(settings: Settings) -> None:
    async with ClientSession(proxy="http://127.0.0.1:1") as session:
        with pytest.raises(SettingsError, match=r"session has a proxy.*set egress\.proxy"):
            setup(web.Application(), settings, prefix="/storage", session=session)


async def test_its_objects_are_there_for_the_hosts_handlers(
    settings: Settings, storage: MemoryStorage, aiohttp_client: AiohttpClient
) -> None:
    app = web.Application()
    part = setup(app, settings, prefix="/storage", authenticate=who, providers=[storage.provider])
    await aiohttp_client(app)
    destination = await part[DESTINATIONS].create("ann", FIELDS)
    assert destination.name == "Mine"


async def test_it_works_with_no_http_at_all(settings: Settings, storage: MemoryStorage) -> None:
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        made = await destinations.create("ann", FIELDS)
        assert (await destinations.get("ann", made.id)) == made
        with pytest.raises(VerificationFailed) as failed:
            await destinations.create("ann", {**FIELDS, "memory_secret": "wrong"})
        assert failed.value.code == failed.value.report.code == "credentials_rejected"
        with pytest.raises(NotFound):
            await destinations.get("bob", made.id)
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        assert [one.name for one in (await destinations.list("ann")).destinations] == ["Mine"]


async def test_a_store_that_is_given_stays_open(settings: Settings, storage: MemoryStorage) -> None:
    store = MemoryStore()
    await store.open()
    async with open_destinations(settings, store=store, providers=[storage.provider]) as destinations:
        await destinations.create("ann", FIELDS)
    assert store.writable
    assert await store.count("destinations", "ann") == 1
    await store.close()


async def test_a_type_that_is_gone_is_an_error_and_not_a_loss(settings: Settings, storage: MemoryStorage) -> None:
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        made = await destinations.create("ann", FIELDS)
    async with open_destinations(settings, providers=[]) as destinations:
        assert (await destinations.get("ann", made.id)).name == "Mine"
        with pytest.raises(ConsigneeError, match="not served here"):
            await destinations.test_saved("ann", made.id)
        with pytest.raises(InvalidDestination):
            await destinations.update("ann", made.id, {"name": "Another"})


def test_the_public_names_are_there_and_no_others() -> None:
    assert all(getattr(consignee, name) for name in consignee.__all__)
    with pytest.raises(AttributeError):
        consignee.nothing  # noqa: B018


def test_importing_it_imports_no_sdk_and_not_even_aiohttp() -> None:
    program = (
        "import consignee, sys; print([name for name in ('aiohttp', 'botocore', 'marshmallow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "module", ["errors", "store", "providers.base", "transport", "service", "web", "cli", "egress"]
)
def test_every_module_imports_alone(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import consignee.{module}"], check=True)
