"""consignee among the routes of somebody else's application: ours are as they are alone, and theirs as if we were not there."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler
from pytest_aiohttp.plugin import AiohttpClient

from consignee.providers import Provider
from consignee.settings import Settings
from consignee.web import DESTINATIONS, setup
from consignee.web.routes import ROUTES

from .conftest import FIELDS, Client, form

Made = Callable[..., Awaitable[Client]]
PARAMETERS = {"id": "0A1B2C3D", "n": "1", "name": "a.csv"}


async def page(request: web.Request) -> web.Response:
    return web.Response(text=f"the host's own {request.path}")


async def broken(request: web.Request) -> web.Response:
    raise web.HTTPConflict(text="the host's own refusal")


@pytest.fixture
def made(aiohttp_client: AiohttpClient, settings: Settings, providers: list[Provider]) -> Made:
    """Makes a client of an application with pages of its own, and with consignee."""

    async def made(app: web.Application | None = None, *, prefix: str = "", settings: Settings = settings) -> Client:
        app = app or web.Application()
        app.add_routes([web.get("/page", page), web.get("/broken", broken)])
        setup(app, settings, prefix=prefix, providers=providers)
        return await aiohttp_client(app, headers={"X-API-Key": "key-a"})

    return made


async def test_the_hosts_own_pages_refusals_and_missing_pages_are_its_own(made: Made) -> None:
    client = await made()
    for path, status in (("/page", 200), ("/broken", 409), ("/nowhere", 404), ("/destinations/a/b/c", 404), ("/", 404)):
        answer = await client.get(path)
        assert answer.status == status
        assert not {"X-Trace-ID", "Cache-Control", "X-Content-Type-Options"} & answer.headers.keys(), path
        assert "request_info" not in await answer.text()
    assert (await client.post("/page")).status == 405, "which is aiohttp's way, not ours"


async def test_every_route_of_ours_is_reached(made: Made) -> None:
    """Its middlewares and signals too: whoever has no key is told so in our envelope, with our headers."""
    client = await made()
    for method, path, _ in ROUTES:
        path = re.sub(r"\{(\w+)\}", lambda found: PARAMETERS.get(found[1], "x"), path)
        answer = await client.request(method, path, headers={"X-API-Key": "nobody's"}, allow_redirects=False)
        assert answer.headers["X-Trace-ID"] and answer.headers["X-Content-Type-Options"] == "nosniff", path
        if answer.status >= 400 and method != "HEAD":
            assert (await answer.json())["request_info"]["success"] is False, path


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", "/destinations"), ("DELETE", "/collections"), ("POST", "/healthz"), ("GET", "/destinations/test")],
)
async def test_a_wrong_verb_at_a_path_of_ours_is_answered_as_we_do(made: Made, method: str, path: str) -> None:
    answer = await (await made()).request(method, path)
    assert (answer.status, (await answer.json())["request_info"]["code"]) == (404, "not_found")
    assert answer.headers["X-Trace-ID"]


async def test_the_answers_are_those_under_a_prefix(made: Made, settings: Settings) -> None:
    told: list[list[tuple[int, str, set[str]]]] = []
    for prefix in ("", "/storage"):
        own = replace(settings, store=replace(settings.store, path=settings.store.path + prefix.replace("/", "-")))
        client = await made(prefix=prefix, settings=own)
        answers = [
            await client.post(f"{prefix}/destinations", json=FIELDS),
            await client.post(f"{prefix}/destinations", json={}),
            await client.post(f"{prefix}/destinations", data=b"x", headers={"Content-Type": "text/plain"}),
            await client.get(f"{prefix}/destinations/0A1B2C3D"),
            await client.get(f"{prefix}/destinations", params={"page": "0"}),
            await client.get(f"{prefix}/destinations", headers={"X-API-Key": "nobody's"}),
            await client.put(f"{prefix}/destinations/test", json=FIELDS),
        ]
        told.append([(one.status, _plain(await one.text()), {*one.headers}) for one in answers])
    assert told[0] == told[1]
    assert [status for status, _, _ in told[0]] == [200, 400, 415, 404, 400, 401, 404]


def _plain(text: str) -> str:
    return re.sub(r'"[0-9A-F]{8}"|"\d{4}-\d\d-[^"]*"|"ms":\d+', "?", text)


@pytest.mark.parametrize("first", [True, False])
async def test_the_hosts_own_route_for_a_path_of_ours_goes_first(
    made: Made, first: bool, settings: Settings, aiohttp_client: AiohttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever of both came first; the other methods and paths stay ours, and the log tells what is not."""
    app = web.Application()
    theirs = [web.get("/healthz", page), web.get("/destinations/{name:[a-z]+}", page), web.route("*", "/account", page)]
    if first:
        app.add_routes(theirs)
    setup(app, settings, prefix="")
    if not first:
        app.add_routes(theirs)
    client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
    for method, path in (("GET", "/healthz"), ("GET", "/destinations/abc"), ("GET", "/account"), ("POST", "/account")):
        answer = await client.request(method, path)
        assert await answer.text() == f"the host's own {path}"
        assert "X-Trace-ID" not in answer.headers
    assert "X-Trace-ID" in (await client.delete("/destinations/0A1B2C3D")).headers
    assert "X-Trace-ID" in (await client.get("/readyz")).headers
    (told,) = [record.getMessage() for record in caplog.records if "itself" in record.message]
    assert "GET /healthz" in told and "GET /account" in told and "GET /destinations/{id}" in told
    assert "DELETE" not in told and "readyz" not in told


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("is_static", [True, False])
async def test_a_folder_or_a_part_of_the_hosts_is_its_own(
    first: bool, is_static: bool, settings: Settings, aiohttp_client: AiohttpClient, tmp_path: Path
) -> None:
    """Whichever of both came first, and with all that is in it; what lies beside stays ours."""
    app, own = web.Application(), tmp_path / "own"
    own.mkdir()
    (own / "intro").write_text("the host's own /docs/intro")

    def add() -> None:
        if is_static:
            app.router.add_static("/docs", own)
        else:
            docs = web.Application()
            docs.router.add_get("/intro", page)
            app.add_subapp("/docs", docs)

    if first:
        add()
    setup(app, settings, prefix="")
    if not first:
        add()
    client = await aiohttp_client(app)
    assert await (await client.get("/docs/intro")).text() == "the host's own /docs/intro"
    for path, is_ours in (("/docs/docs.js", False), ("/docs", False), ("/openapi.json", True), ("/console/", True)):
        assert ("X-Trace-ID" in (await client.get(path, allow_redirects=False)).headers) is is_ours, path


@pytest.mark.parametrize("first", [True, False])
async def test_what_the_host_has_for_a_domain_is_for_that_domain_alone(
    first: bool, settings: Settings, aiohttp_client: AiohttpClient
) -> None:
    app, admin = web.Application(), web.Application()
    admin.router.add_get("/account", page)
    if first:
        app.add_domain("admin.example.com", admin)
    setup(app, settings, prefix="")
    if not first:
        app.add_domain("admin.example.com", admin)
    client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
    assert "account_info" in await (await client.get("/account")).json()
    there = {"Host": "admin.example.com"}
    assert await (await client.get("/account", headers=there)).text() == "the host's own /account"
    assert (await client.get("/destinations", headers=there)).status == 404


@pytest.mark.parametrize("first", [True, False])
async def test_a_page_of_the_hosts_for_everything_leaves_ours_alone(
    first: bool, settings: Settings, aiohttp_client: AiohttpClient
) -> None:
    """As an application of one page has it, whose paths are known to the browser alone."""
    app = web.Application()
    if first:
        app.router.add_get("/{tail:.*}", page)
    setup(app, settings, prefix="")
    if not first:
        app.router.add_get("/{tail:.*}", page)
    client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
    assert (await (await client.get("/destinations")).json())["request_info"] == {"success": True}
    for path in ("/", "/settings/profile", "/destinations/a/b/c"):
        assert await (await client.get(path)).text() == f"the host's own {path}"


async def test_limits_are_for_ours_alone(made: Made, settings: Settings) -> None:
    strict = replace(settings, limits=replace(settings.limits, wrong_keys_per_minute=1, wrong_keys_burst=1))
    client = await made(settings=strict)
    nobody = {"X-API-Key": "nobody's"}
    assert [(await client.get("/account", headers=nobody)).status for _ in range(3)] == [401, 429, 429]
    assert [(await client.get("/page", headers=nobody)).status for _ in range(3)] == [200] * 3


async def test_the_hosts_middlewares_are_around_ours(made: Made) -> None:
    @web.middleware
    async def marked(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        answer.headers["X-Host"] = (request.app is app and "host") or "part"
        return answer

    app = web.Application(middlewares=[marked])
    client = await made(app)
    for path in ("/page", "/destinations", "/destinations/0A1B2C3D"):
        assert (await client.get(path)).headers["X-Host"] == "host"


async def test_our_objects_are_not_in_the_hosts_application(
    settings: Settings, providers: list[Provider], aiohttp_client: AiohttpClient
) -> None:
    app = web.Application()
    part = setup(app, settings, prefix="", providers=providers)
    await aiohttp_client(app)
    assert DESTINATIONS in part and DESTINATIONS not in app
    assert (await part[DESTINATIONS].create("ann", FIELDS)).name == "Mine"


async def test_what_is_sent_with_a_result_set_arrives(made: Made) -> None:
    """Also from a client that waits for a word before it sends (RFC 9110, 10.1.1)."""
    client = await made()
    collection = (await (await client.post("/collections", json={"name": "C", "destination_ids": []})).json())[
        "collection"
    ]
    path = f"/collections/{collection['id']}/results"
    assert (await client.post(path, data=form({"a.csv": b"1,2\n"}), expect100=True)).status == 200
    assert await (await client.get(f"{path}/1/files/a.csv")).read() == b"1,2\n"


async def test_a_part_of_the_hosts_may_have_it_among_its_routes(
    settings: Settings, providers: list[Provider], aiohttp_client: AiohttpClient
) -> None:
    """That part's own prefix is before ours then."""
    api, app = web.Application(), web.Application()
    api.router.add_get("/page", page)
    setup(api, settings, prefix="", providers=providers)
    app.add_subapp("/api", api)
    client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
    assert (await client.post("/api/destinations", json=FIELDS)).status == 200
    listed = await (await client.get("/api/destinations")).json()
    assert (await client.get(f"/api/destinations/{listed['destinations'][0]['id']}")).status == 200
    assert await (await client.get("/api/page")).text() == "the host's own /api/page"
    for path in ("/destinations", "/api/nowhere"):
        answer = await client.get(path)
        assert answer.status == 404 and "X-Trace-ID" not in answer.headers


@pytest.mark.parametrize(
    "prefix",
    ["storage", "//storage", "/a//b", "/a/../b", "/.", "/a b", "/{tenant}", "/a?b", "/a#b", "/ü", "/%41", "https://a"],
)
def test_a_wrong_prefix_is_refused_with_what_to_write(settings: Settings, prefix: str) -> None:
    app = web.Application()
    with pytest.raises(ValueError, match='write "" or one like "/storage"'):
        setup(app, settings, prefix=prefix)
    assert not [*app.router.resources()]


def test_the_root_is_written_without_a_slash(settings: Settings) -> None:
    with pytest.raises(ValueError, match='the prefix "/" is written ""'):
        setup(web.Application(), settings, prefix="/")


@pytest.mark.parametrize(("prefix", "again"), [("", ""), ("/storage", "/storage"), ("/storage", "/storage/")])
def test_a_second_one_in_the_same_place_is_refused(settings: Settings, prefix: str, again: str) -> None:
    app = web.Application()
    setup(app, settings, prefix=prefix)
    with pytest.raises(ValueError, match=r"already: call setup\(\) once, or give another prefix"):
        setup(app, settings, prefix=again)


@pytest.mark.parametrize("prefix", ["", "/storage"])
async def test_it_can_be_too_late(settings: Settings, prefix: str, aiohttp_client: AiohttpClient) -> None:
    app = web.Application()
    await aiohttp_client(app)
    with pytest.raises(RuntimeError, match=r"call setup\(\) before that"):
        setup(app, settings, prefix=prefix)
