"""The limits that hold wherever the application runs: requests under way, rates, and what bodies may be."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestServer
from pytest_aiohttp.plugin import AiohttpClient

from consignee.errors import SettingsError
from consignee.providers import Provider
from consignee.settings import SETTINGS, LimitsSettings, Settings, load_settings
from consignee.web import create_app, setup
from consignee.web.admission import Admission, Places, network_of
from consignee.web.auth import account_of
from consignee.web.errors import Busy
from consignee.web.keys import ADMISSION

from .conftest import FIELDS, Client, Start, collected, created, sent

Slow = Callable[..., Awaitable[asyncio.Task[ClientResponse]]]


def limited(settings: Settings, **limits: Any) -> Settings:
    """Return the settings with these limits."""
    return replace(settings, limits=replace(settings.limits, **limits))


@asynccontextmanager
async def held(client: Client, count: int, *, key: str = "key-a") -> AsyncIterator[None]:
    """Have so many requests under way, whose bodies do not end as long as the block lasts."""
    let_go, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        begun.release()
        await let_go.wait()
        yield b"}"

    async def ask() -> int:
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        async with client.post("/destinations", data=body(), headers=headers) as response:
            return response.status

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask()) for _ in range(count)]
        for _ in asked:
            await begun.acquire()
        try:
            await under_way(client, count)
            yield
        finally:
            let_go.set()
    assert {task.result() for task in asked} == {400}


async def under_way(client: Client, count: int, *, long: bool = False) -> None:
    """Return when so many requests have a place."""
    server = client.server
    assert isinstance(server, TestServer) and isinstance(server.app, web.Application)
    admission = server.app[ADMISSION]
    places = admission._long_places if long else admission._quick_places
    async with asyncio.timeout(20):
        while sum(places._of_account.values()) < count:
            await asyncio.sleep(0.01)


async def failure(response: ClientResponse) -> tuple[int, str, str]:
    """Return status, code and Retry-After of an answer."""
    return response.status, (await response.json())["request_info"]["code"], response.headers.get("Retry-After", "")


async def test_beyond_the_requests_under_way_the_answer_is_503_at_once(start: Start, settings: Settings) -> None:
    """Those who ask whether the service is alive and ready are always answered; files have places of their own."""
    client = await start(limited(settings, requests_in_flight=3, account_share=1))
    collection = await collected(client)
    await sent(client, collection, {"a": b"content"})
    async with held(client, 3):
        assert await failure(await client.get("/account")) == (503, "unavailable", "1")
        assert await failure(await client.post("/destinations", json=FIELDS)) == (503, "unavailable", "1")
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/readyz")).status == 200
        assert (await client.get(f"{collection}/results/1/files/a")).status == 200
    assert (await client.get("/account")).status == 200


async def test_an_account_has_a_share_of_them_and_the_rest_is_left_for_others(start: Start, settings: Settings) -> None:
    client = await start(limited(settings, requests_in_flight=8, account_share=0.5))
    async with held(client, 4):
        assert await failure(await client.get("/account")) == (503, "unavailable", "1")
        assert (await client.get("/account", headers={"X-API-Key": "key-b"})).status == 200
        async with held(client, 1, key="key-b"):
            assert (await client.get("/account", headers={"X-API-Key": "key-b"})).status == 200
        async with held(client, 2, key="key-b"):
            response = await client.get("/account", headers={"X-API-Key": "key-b"})
            assert await failure(response) == (503, "unavailable", "1")
    assert (await client.get("/account")).status == 200


def test_an_account_s_share_is_of_what_the_others_leave() -> None:
    """So two who take all that they get do not keep everybody else out."""
    places, kept, had = Places(256, share=0.5), ExitStack(), Counter[str]()
    for account in "abcdef":
        with suppress(Busy):
            while True:
                with ExitStack() as one:
                    one.enter_context(places.place()).give(account)
                    kept.push(one.pop_all())
                    had[account] += 1
    assert had == {"a": 128, "b": 64, "c": 32, "d": 16, "e": 8, "f": 4}
    kept.close()
    with places.place() as place:
        place.give("a")


async def test_long_requests_have_places_of_their_own(start: Start, settings: Settings) -> None:
    """So listeners and uploads do not keep others out, nor the other way round; a share of one is at least one place."""
    client = await start(limited(settings, streams_in_flight=1, account_share=0.01))
    collection = await collected(client)
    await sent(client, collection, {"a": b"content"})
    more = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"--XX\r\n"
        await more.wait()
        yield b'Content-Disposition: form-data; name="f"; filename="b"\r\n\r\n\r\n--XX--\r\n'

    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    uploading = asyncio.create_task(client.post(f"{collection}/results", data=body(), headers=headers))
    await under_way(client, 1, long=True)
    assert await failure(await client.get(f"{collection}/results/1/files/a")) == (503, "unavailable", "1")
    assert (await client.get("/account")).status == 200
    more.set()
    assert (await uploading).status == 200
    assert (await client.get(f"{collection}/results/1/files/a")).status == 200


async def test_an_account_s_rate_is_told_and_kept(start: Start, settings: Settings) -> None:
    """As the draft of the RateLimit headers says: what is left, and the seconds until all of it is back."""
    client = await start(limited(settings, requests_per_second=0.1, requests_burst=2))
    response = await client.get("/account")
    assert (response.headers["RateLimit-Policy"], response.headers["RateLimit"]) == (
        '"requests";q=2;w=20',
        '"requests";r=1;t=10',
    )
    await client.get("/nowhere")
    assert (await client.get("/account")).status == 200
    response = await client.get("/account")
    assert (*await failure(response), response.headers["RateLimit"]) == (
        429,
        "rate_limited",
        "10",
        '"requests";r=0;t=20',
    )
    assert (await client.get("/account", headers={"X-API-Key": "key-b"})).status == 200
    assert (await client.get("/healthz")).status == 200


@pytest.mark.parametrize("form", [False, True])
async def test_a_large_body_costs_as_much_as_many_small_ones(start: Start, settings: Settings, form: bool) -> None:
    """One more token for each 4 KiB; whoever owes for another is refused before anything is made of the body."""
    client = await start(limited(settings, requests_per_second=0.01, requests_burst=10))
    kind = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json"}
    left = []
    for size in (4095, 4096, 3 * 4096, 20 * 4096):
        response = await client.post("/destinations", data=b"x" * size, headers=kind)
        assert response.status == 400
        left.append(response.headers["RateLimit"].split(";")[1])
    assert left == ["r=9", "r=7", "r=3", "r=0"]
    response = await client.get("/account")
    assert await failure(response) == (429, "rate_limited", "1100")
    assert (await client.get("/account", headers={"X-API-Key": "key-b"})).status == 200


async def test_bodies_that_arrive_at_once_are_not_all_parsed(start: Start, settings: Settings) -> None:
    client = await start(limited(settings, requests_per_second=0.01, requests_burst=10))
    let_go, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def body() -> AsyncIterator[bytes]:
        yield b" "
        begun.release()
        await let_go.wait()
        yield b" " * 100_000

    async def ask() -> int:
        async with client.post("/destinations", data=body(), headers={"Content-Type": "application/json"}) as response:
            return response.status

    asked = [asyncio.create_task(ask()) for _ in range(5)]
    for _ in asked:
        await begun.acquire()
    await under_way(client, 5)
    let_go.set()
    assert sorted(await asyncio.gather(*asked)) == [400, 429, 429, 429, 429]


async def test_wrong_keys_have_a_rate_by_address_and_a_known_one_is_always_let_in(
    start: Start, settings: Settings
) -> None:
    """An address may be that of a proxy, with everybody behind it: nobody must lock the others out."""
    client = await start(limited(settings, wrong_keys_per_minute=0.1, wrong_keys_burst=3), key=None)
    statuses = [(await client.get("/account", headers={"X-API-Key": f"wrong-{n}"})).status for n in range(3)]
    assert statuses == [401] * 3
    for headers in ({"X-API-Key": "wrong"}, {}):
        response = await client.get("/account", headers=headers)
        status, code, retry_after = await failure(response)
        assert (status, code) == (429, "rate_limited") and int(retry_after) > 500
        assert response.headers["RateLimit-Policy"] == '"wrong-keys";q=3;w=1800'
    assert (await client.get("/account", headers={"X-API-Key": "key-a"})).status == 200


async def test_connectivity_tests_have_a_rate_of_their_own(start: Start, settings: Settings) -> None:
    """They make us dial out: on create, on updates that need one, and when asked for. Nothing is saved if there is none."""
    client = await start(limited(settings, tests_per_second=0.001, tests_burst=3))
    path = f"/destinations/{(await created(client))['id']}"
    assert (await client.post(f"{path}/test")).status == 200
    assert (
        await client.put(path, json={"memory_secret": "memory-secret", "memory_bucket_name": "bucket"})
    ).status == 200
    assert (await client.post("/destinations/test", json=FIELDS)).status == 200
    for method, place, content in (
        ("POST", "/destinations", FIELDS),
        ("POST", "/destinations/test", FIELDS),
        ("POST", f"{path}/test", None),
        ("POST", "/destinations/verify", {}),
        ("PUT", path, {"memory_secret": "other"}),
    ):
        response = await client.request(method, place, json=content)
        assert (await failure(response))[:2] == (429, "rate_limited"), place
        assert response.headers["RateLimit-Policy"] == '"tests";q=3;w=3000'
    assert (await (await client.get("/account")).json())["account_info"]["destinations_used"] == 1
    assert (await client.put(path, json={"name": "Other"})).status == 200
    assert (await client.post("/destinations", json=FIELDS | {"enabled": False})).status == 200
    assert (await client.post("/destinations/test", json=FIELDS, headers={"X-API-Key": "key-b"})).status == 200


async def test_many_tests_at_once_are_all_counted(start: Start, settings: Settings) -> None:
    client = await start(limited(settings, tests_per_second=0.001, tests_burst=6))
    for _ in range(3):
        await created(client)
    answer = await (await client.post("/destinations/verify", json={})).json()
    assert [one["ok"] for one in answer["results"]] == [True] * 3
    assert (await client.post("/destinations/test", json=FIELDS)).status == 429


async def test_limits_hold_in_another_application_too(
    aiohttp_client: AiohttpClient, settings: Settings, providers: list[Provider]
) -> None:
    async def who(request: web.Request) -> str | None:
        return request.query.get("who")

    host = web.Application()
    here = limited(settings, requests_per_second=0.1, requests_burst=1, wrong_keys_per_minute=1, wrong_keys_burst=1)
    setup(host, here, prefix="/storage", authenticate=who, providers=providers)
    client: Client = await aiohttp_client(host)
    statuses = [(await client.get("/storage/account?who=ann")).status for _ in range(2)]
    statuses += [(await client.get("/storage/account")).status for _ in range(2)]
    statuses += [(await client.get("/storage/account?who=bob")).status, (await client.get("/storage/healthz")).status]
    assert statuses == [200, 429, 401, 429, 200, 200]


async def test_a_request_counts_once_however_often_it_is_asked_whose_it_is(
    aiohttp_client: AiohttpClient, settings: Settings
) -> None:
    async def twice(request: web.Request) -> web.Response:
        return web.Response(text=await account_of(request) + await account_of(request))

    app = create_app(limited(settings, requests_in_flight=1, requests_per_second=0.1, requests_burst=2))
    app.router.add_get("/twice", twice)
    client: Client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
    responses = [await client.get("/twice") for _ in range(3)]
    assert [response.status for response in responses] == [200, 200, 429]
    assert await responses[0].text() == "annann"


async def test_the_log_says_now_and_then_how_many_were_turned_away(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    admission = Admission(LimitsSettings(), clock=lambda: now)
    for _ in range(5):
        admission.turned_away()
    now = 11.0
    admission.turned_away()
    assert [record.args for record in caplog.records] == [(1,), (5,)]


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        (None, ""),
        ("not an address", ""),
    ],
)
def test_an_address_of_ipv6_counts_as_its_network(remote: str | None, network: str) -> None:
    assert network_of(remote) == network


async def deep(client: Client, levels: int) -> tuple[int, str]:
    """Send a body of so many levels; return status and code."""
    body = '{"type": "memory", "other": ' + "[" * (levels - 1) + "1" + "]" * (levels - 1) + "}"
    response = await client.post("/destinations", data=body, headers={"Content-Type": "application/json"})
    return response.status, (await response.json())["request_info"]["message"]


@pytest.mark.parametrize("most", [2, 7])
async def test_the_levels_of_a_body_are_a_setting(start: Start, settings: Settings, most: int) -> None:
    client = await start(limited(settings, json_depth=most))
    assert "other" not in (await deep(client, most))[1]
    assert await deep(client, most + 1) == (400, "Invalid: other.")


@pytest.mark.parametrize("levels", [1000, 100_000, 500_000])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")], ids=["list", "object"])
async def test_bodies_that_are_very_deep_are_400(client: Client, levels: int, begin: str, end: str) -> None:
    body = '{"other": ' + begin * min(levels, 150_000 if begin != "[" else levels) + "1"
    for text in (body, body + end * body.count(begin) + "}"):
        response = await client.post(
            "/destinations", data=text[:1_048_576], headers={"Content-Type": "application/json"}
        )
        assert (await failure(response))[0] == 400


_LEAST: dict[str, Any] = {
    "json_depth": 2,
    "headers": 20,
    "header_bytes": 1024,
    "header_timeout": 0.1,
    "connections": 10,
    "connections_per_address": 0,
    "requests_in_flight": 1,
    "streams_in_flight": 1,
    "account_share": 0.01,
    "upload_bytes_per_second": 0,
    "requests_per_second": 0,
    "requests_burst": 1,
    "tests_per_second": 0,
    "tests_burst": 1,
    "wrong_keys_per_minute": 0,
    "wrong_keys_burst": 1,
}


@pytest.mark.parametrize("name", _LEAST)
def test_no_limit_can_be_nonsense(name: str) -> None:
    """What is refused at the start needs no thought later: nothing below the least that works, nothing that is no number."""
    variable = f"CONSIGNEE_LIMITS__{name.upper()}"
    assert getattr(load_settings(environ={variable: str(_LEAST[name])}).limits, name) == _LEAST[name]
    below = "0" if _LEAST[name] else "-1"
    for text in (below, "-1", "", "nan", "inf", "1e9", "99999999999"):
        with pytest.raises(SettingsError, match=variable):
            load_settings(environ={variable: text})


def test_every_number_among_the_limits_has_a_rule() -> None:
    assert [one.name for one in SETTINGS.values() if one.name[0] == "limits" and one.rule is None] == []


async def test_the_least_limits_still_let_one_request_through(
    aiohttp_client: AiohttpClient, settings: Settings, providers: list[Provider]
) -> None:
    client: Client = await aiohttp_client(create_app(limited(settings, **_LEAST), providers=providers))
    assert (await client.get("/account", headers={"X-API-Key": "key-a"})).status == 200
