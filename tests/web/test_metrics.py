"""GET /metrics: exact numbers of real requests and deliveries, for whoever may read them, and nothing of any customer."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain
from pytest_aiohttp.plugin import AiohttpClient

from consignee.log import AccessLogger
from consignee.providers.memory import MemoryStorage
from consignee.secret import Secret
from consignee.settings import MetricsSettings, Settings
from consignee.web import DESTINATIONS, METRICS, create_app, setup
from consignee.web.keys import METER
from consignee.web.server import Runner

from .conftest import FIELDS, Client, Start, collected, created, rested, sent
from .tenants import receiver

TOKEN = "scrapes-with-this"
ENABLED = MetricsSettings(enabled=True, token=Secret(TOKEN))
SCRAPER = {"Authorization": f"Bearer {TOKEN}", "X-API-Key": ""}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return what the text says, by name and labels."""
    return {(one.name, frozenset(one.labels.items())): one.value for family in plain(text) for one in family.samples}


class Scraped:
    """What was told at one moment."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = samples(text)

    def __call__(self, name: str, **labels: str) -> float:
        """Return a number; 0 if there is none."""
        return self._samples.get((f"consignee_{name}", frozenset(labels.items())), 0)

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the numbers that are not 0, by the values of these labels, added up over all others."""
        found = Counter[tuple[str, ...]]()
        for (sample, values), number in self._samples.items():
            if sample == f"consignee_{name}":
                found[tuple(dict(values)[label] for label in labels)] += int(number)
        return {values: number for values, number in found.items() if number}


async def scrape(client: Client, path: str = "/metrics", headers: Mapping[str, str] = SCRAPER) -> Scraped:
    """Return what is told now."""
    response = await client.get(path, headers=headers)
    text = await response.text()
    assert response.status == 200, text
    return Scraped(text)


@pytest.fixture
def enabled(settings: Settings) -> Settings:
    """With metrics, and a token for them."""
    return replace(settings, metrics=ENABLED)


@pytest.fixture
async def client(start: Start, enabled: Settings) -> Client:
    """The service with metrics, as ann."""
    return await start(enabled)


async def test_every_delivery_attempt_file_and_byte_is_counted(client: Client, storage: MemoryStorage) -> None:
    """As the API itself tells of them, and exactly."""
    storage.buckets["gone"] = {}
    good = (await created(client))["id"]
    gone = (await created(client, memory_bucket_name="gone"))["id"]
    off = (await created(client, enabled=False))["id"]
    storage.buckets.pop("gone")
    collection = await collected(client, good, gone, off)
    for number in range(1, 4):
        await sent(client, collection, {"a.txt": b"abc", "b.txt": b"de"})
        await rested(client, collection, number)
    told = await scrape(client)
    lost = ("memory", "failed", "bucket_not_found")
    assert told.by("tests_total", "type", "outcome", "code") == {("memory", "ok", ""): 2}
    assert told.by("attempts_total", "type", "outcome", "code") == {("memory", "ok", ""): 3, lost: 3}
    deliveries = {("memory", "success", ""): 3, lost: 3, ("memory", "skipped", ""): 3}
    assert told.by("deliveries_total", "type", "status", "code") == deliveries
    taken = [told(f"{name}_total") for name in ("result_sets", "received_files", "received_bytes")]
    assert taken == [3, 6, 15]
    assert (told("delivered_files_total", type="memory"), told("delivered_bytes_total", type="memory")) == (6, 15)
    assert told.by("destination_changes_total", "change", "code") == {("needs_attention", "bucket_not_found"): 1}
    assert told.by("destinations", "condition") == {("ok",): 2, ("needs_attention",): 1}
    assert told("attempt_duration_seconds_count", type="memory", outcome="ok") == 3
    assert told("delivery_duration_seconds_count", type="memory", status="success") == 3
    assert told("test_duration_seconds_count", type="memory", outcome="ok") == 2
    answer = await (await client.get("/deliveries", params={"page_size": "100"})).json()
    statuses = Counter(one["status"] for one in answer["deliveries"])
    assert {(status,): count for status, count in statuses.items()} == told.by("deliveries_total", "status")


async def test_a_failed_test_is_counted_with_its_code(client: Client) -> None:
    assert (await client.post("/destinations", json={**FIELDS, "memory_secret": "wrong"})).status == 400
    told = await scrape(client)
    assert told.by("tests_total", "type", "outcome", "code") == {("memory", "failed", "credentials_rejected"): 1}


async def test_calls_of_webhooks_are_counted(client: Client) -> None:
    async with receiver() as url:
        hook = {"notification_webhook": f"{url}/hook"}
        collection = await collected(client, (await created(client))["id"], **hook)
        await sent(client, collection, {"a": b"a"})
        async with asyncio.timeout(20):
            while not (told := await scrape(client)).by("webhook_calls_total", "outcome"):
                await asyncio.sleep(0.01)
    assert told.by("webhook_calls_total", "outcome", "code") == {("ok", ""): 1}
    assert told("webhook_call_duration_seconds_count", outcome="ok") == 1


async def test_requests_are_counted_by_route_method_and_status(client: Client) -> None:
    """Whatever somebody makes up is one series."""
    one = (await created(client))["id"]
    for path in (f"/destinations/{one}", f"/destinations/{one}", "/destinations/0A1B2C3D", "/a", "/b", "/c?x=1"):
        await client.get(path)
    await client.get("/account", headers={"X-API-Key": "nobody"})
    await client.request("PROPFIND", "/coffee")
    await client.request("PATCH", "/destinations")
    told = await scrape(client)
    assert told.by("http_requests_total", "route", "method", "status") == {
        ("/destinations", "POST", "200"): 1,
        ("/destinations/{id}", "GET", "200"): 2,
        ("/destinations/{id}", "GET", "404"): 1,
        ("/account", "GET", "401"): 1,
        ("other", "other", "404"): 5,
    }
    assert told("http_request_duration_seconds_count", route="/destinations/{id}", method="GET") == 3
    assert told("http_request_duration_seconds_bucket", route="other", method="other", le="+Inf") == 5


async def test_a_request_that_fails_inside_is_counted_as_a_fault(
    aiohttp_client: AiohttpClient, enabled: Settings
) -> None:
    async def broken(request: web.Request) -> str | None:
        raise RuntimeError("a fault")

    client = await aiohttp_client(create_app(enabled, authenticate=broken))
    assert (await client.get("/account")).status == 500
    told = await scrape(client)
    assert told.by("faults_total", "where") == {("requests",): 1}


async def test_a_request_that_nobody_waits_for_any_more_is_counted_as_broken_off(enabled: Settings) -> None:
    """Where the host cancels handlers of clients that went away."""
    begun, never = asyncio.Event(), asyncio.Event()

    async def hangs(request: web.Request) -> str | None:
        begun.set()
        await never.wait()
        return None

    async with TestClient(TestServer(create_app(enabled, authenticate=hangs))) as client:  # which does so
        asking = asyncio.create_task(client.get("/account"))
        await begun.wait()
        asking.cancel()
        async with asyncio.timeout(20):
            while not (told := await scrape(client)).by("http_requests_total", "route").get(("/account",)):
                await asyncio.sleep(0.01)
    assert told("http_requests_total", route="/account", method="GET", status="499") == 1


async def test_nothing_of_a_customer_is_in_it(client: Client) -> None:
    one = await created(client, name="Ducks of Duckburg", memory_path_prefix="duckburg")
    collection = await collected(client, one["id"], name="Ducks")
    await sent(client, collection, {"duck.txt": b"quack"})
    await rested(client, collection)
    await client.get("/destinations?search_term=duck&api_key=nobody")
    text = (await scrape(client)).text
    words = (
        "duck",
        "Duck",
        "quack",
        "ann",
        "bob",
        one["id"],
        collection.rpartition("/")[2],
        "memory-secret",
        'bucket"',
        TOKEN,
        "key-a",
    )
    assert not [word for word in words if word in text]


async def test_counts_are_by_account_if_that_is_asked_for(start: Start, settings: Settings) -> None:
    client = await start(replace(settings, metrics=replace(ENABLED, by_account=True)))
    for key in ("key-a", "key-b", "key-b"):
        response = await client.post("/destinations", json=FIELDS, headers={"X-API-Key": key})
        assert response.status == 200
    collection = await collected(client, (await created(client))["id"])
    await sent(client, collection, {"a": b"abc"})
    await rested(client, collection)
    told = await scrape(client)
    assert told.by("tests_total", "account") == {("ann",): 2, ("bob",): 2}
    for name in ("deliveries", "attempts", "delivered_files", "result_sets", "received_files"):
        assert told.by(f"{name}_total", "account") == {("ann",): 1}, name
    assert told.by("delivered_bytes_total", "account") == {("ann",): 3}


async def test_only_who_has_the_token_may_read(start: Start, enabled: Settings) -> None:
    client = await start(replace(enabled, limits=replace(enabled.limits, wrong_keys_burst=6)))
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \udcff"},
        {"X-API-Key": TOKEN},
    ]
    for headers in wrong:
        response = await client.get("/metrics", headers=headers)
        assert (response.status, (await response.json())["request_info"]["code"]) == (401, "unauthorized")
    assert (await client.get(f"/metrics?api_key={TOKEN}")).status == 401
    assert (await client.get("/metrics")).status == 429
    assert (await scrape(client)).by("http_requests_total", "status")[("401",)] == 6


async def test_an_account_s_key_is_not_the_token(client: Client) -> None:
    assert (await client.get("/metrics", headers={"Authorization": "Bearer key-a", "X-API-Key": ""})).status == 401


async def test_without_a_token_nobody_may_read_unless_everybody_may(
    start: Start, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        closed = await start(replace(settings, metrics=MetricsSettings(enabled=True)))
    assert "metrics.token" in caplog.text
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
        assert (await closed.get("/metrics", headers=headers)).status == 401
    other = replace(settings.store, path=settings.store.path + "-of-another")
    public = await start(replace(settings, store=other, metrics=MetricsSettings(enabled=True, public=True)))
    assert (await scrape(public, headers={}))("store_writable") == 1


async def test_where_they_are_not_enabled_there_are_none(start: Start) -> None:
    client = await start()
    response = await client.get("/metrics", headers=SCRAPER)
    assert (response.status, (await response.json())["request_info"]["code"]) == (404, "not_found")
    server = client.server
    assert isinstance(server, TestServer)
    assert METRICS not in server.app


async def test_openmetrics_is_answered_to_whoever_accepts_it(client: Client) -> None:
    await created(client)
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    response = await client.get("/metrics", headers={**SCRAPER, "Accept": accept})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    families = open_metrics(await response.text())  # type: ignore[no-untyped-call]
    names = {family.name for family in families}
    assert {"consignee_tests", "consignee_build_info", "process_cpu_seconds"} <= names
    response = await client.get("/metrics", headers=SCRAPER)
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_it_is_answered_when_there_is_no_place_for_others(start: Start, enabled: Settings) -> None:
    limits = replace(enabled.limits, requests_in_flight=1, requests_per_second=1, requests_burst=1)
    client = await start(replace(enabled, limits=limits))
    assert [(await client.get("/account")).status for _ in range(2)] == [200, 429]
    for _ in range(5):
        told = await scrape(client)
    assert told.by("places", "place")[("requests",)] == 1
    assert told.by("http_requests_total", "route", "status")[("/account", "429")] == 1


async def test_many_who_ask_at_once_are_all_answered(client: Client) -> None:
    told = await asyncio.gather(*(scrape(client) for _ in range(20)))
    assert {one("store_writable") for one in told} == {1}


async def test_a_crowd_that_asks_at_once_costs_no_more_than_two(client: Client) -> None:
    """For they are let in however many they are, and those who went away meanwhile wait too."""
    assert client.app is not None
    meter = client.app[METER]
    told = [text for text, _ in await asyncio.gather(*(meter.scrape("") for _ in range(50)))]
    assert [text is told[1] for text in told] == [False] + [True] * 49, "nobody gets what was begun before he asked"
    assert (await meter.scrape(""))[0] is not told[1]
    for number in range(5):
        text, kind = await meter.scrape(f"application/openmetrics-text; version={number}.0.0; escaping=dots")
        assert kind.startswith("application/openmetrics-text; version=1.0.0;") and text.endswith(b"# EOF\n")
    assert len(meter._last) == 2, "what a client writes is not kept"


@pytest.mark.parametrize("prefix", ["", "/storage"])
async def test_in_another_application_routes_are_named_as_ever(
    aiohttp_client: AiohttpClient, enabled: Settings, storage: MemoryStorage, prefix: str
) -> None:
    """A dashboard need not know under which prefix. And the host has our metrics among its own, if it wants that."""
    app = web.Application()
    part = setup(app, enabled, prefix=prefix, providers=[storage.provider])
    own = CollectorRegistry(auto_describe=True)
    own.register(part[METRICS])
    client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
    await created_at(client, f"{prefix}/destinations")
    told = await scrape(client, f"{prefix}/metrics")
    assert told.by("http_requests_total", "route", "status") == {("/destinations", "200"): 1}
    assert own.get_sample_value("consignee_tests_total", {"type": "memory", "outcome": "ok", "code": ""}) == 1
    assert own.get_sample_value("process_cpu_seconds_total") is None
    assert own.get_sample_value("consignee_store_documents", {"kind": "destinations"}) == 1
    await created_at(client, f"{prefix}/destinations")
    await part[METRICS].look(part[DESTINATIONS])
    assert own.get_sample_value("consignee_store_documents", {"kind": "destinations"}) == 2


async def created_at(client: Client, path: str) -> None:
    """Create a destination."""
    assert (await client.post(path, json=FIELDS)).status == 200


async def test_our_own_server_tells_of_its_connections_and_takes_the_short_way(enabled: Settings) -> None:
    """Counting is no reason to go through aiohttp's router."""
    app = create_app(enabled)
    runner = Runner(app, access_log_class=AccessLogger, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    requests = [
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /destinations/A?api_key=key-a HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    scraping = (
        f"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n".encode()
    )
    assert runner._front._handle._ways  # type: ignore[attr-defined]
    idle = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    writer.write(b"".join(requests) + scraping)
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    told = Scraped("\n".join(line for line in answer.splitlines() if line.startswith("consignee_")) + "\n")
    assert told.by("http_requests_total", "route", "status") == {
        ("/healthz", "200"): 1,
        ("/destinations/{id}", "404"): 1,
    }
    assert (told("http_connections"), told("http_connections_limit")) == (2, enabled.limits.connections)
    for one in (idle[1], writer):
        one.close()
        await one.wait_closed()
    await runner.cleanup()


async def test_what_is_told_of_a_service_does_not_change_what_others_hear(
    aiohttp_client: AiohttpClient, enabled: Settings, storage: MemoryStorage
) -> None:
    """`on_event` of the application and the metrics hear the same."""
    heard: list[Any] = []
    app = create_app(enabled, providers=[storage.provider], on_event=heard.append)
    client = await aiohttp_client(app, headers={"X-API-Key": "key-a"})
    collection = await collected(client, (await created(client))["id"])
    await sent(client, collection, {"a": b"abc"})
    await rested(client, collection)
    kinds = Counter(type(one).__name__ for one in heard)
    assert kinds == {"DestinationTested": 1, "ResultSetAccepted": 1, "AttemptEnded": 1, "DeliveryEnded": 1}
    told = await scrape(client)
    assert told.by("attempts_total", "outcome") == {("ok",): kinds["AttemptEnded"]}
