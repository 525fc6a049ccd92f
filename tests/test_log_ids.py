"""Each line of the log that concerns a request, a destination or a delivery has its ids as fields, and nothing of another's."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from consignee.agenda import Agenda
from consignee.errors import CredentialsRejected, StoreError
from consignee.log import JsonFormatter, LineHandler, PlainFormatter, add_ids
from consignee.providers.memory import MemoryStorage
from consignee.secret import Secret
from consignee.settings import AccountsSettings, FixedAccount, Settings
from consignee.store.memory import MemoryStore
from consignee.subject import SUBJECT, about, concerning
from consignee.web import create_app
from consignee.web.concerns import AccessLogger
from consignee.web.keys import DESTINATIONS
from consignee.web.server import Runner
from delivery.depot import FrailStore, depot
from delivery.warehouse import passing
from providers.opening import loopback

FIELDS = {
    "type": "memory",
    "name": "Mine",
    "enabled": True,
    "memory_secret": "memory-secret",
    "memory_bucket_name": "b",
}


class Lines:
    """What is logged from here on, as the command would write it."""

    def __init__(self, form: JsonFormatter | PlainFormatter) -> None:
        self.handler = LineHandler(form)
        self._stream = io.StringIO()
        self.handler.setStream(self._stream)

    @property
    def text(self) -> str:
        """All lines."""
        self.handler.flush()
        return self._stream.getvalue()

    def of(self, logger: str) -> list[dict[str, Any]]:
        """Return the lines of a logger."""
        return [line for line in map(json.loads, self.text.splitlines()) if line["logger"] == logger]

    def about(self, word: str) -> dict[str, Any]:
        """Return the only line whose message holds that."""
        ((found),) = [line for line in map(json.loads, self.text.splitlines()) if word in line["message"]]
        return dict(found)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Of all loggers, as JSON."""
    made, root = Lines(JsonFormatter()), logging.getLogger()
    before = root.level
    root.addHandler(made.handler)
    root.setLevel(logging.INFO)
    yield made
    root.removeHandler(made.handler)
    root.setLevel(before)


async def served(settings: Settings, **more: Any) -> TestClient[web.Request, web.Application]:
    """Return a client of a service, whose access log is ours, as ann."""
    store = MemoryStore()
    await store.open()
    app = create_app(settings, store=store, **more)
    server = TestServer(app)
    await server.start_server(access_log=logging.getLogger("aiohttp.access"), access_log_class=AccessLogger)
    return TestClient(server, headers={"X-API-Key": "key-of-ann"})


@pytest.fixture
async def client() -> Any:
    """The service."""
    accounts = AccountsSettings(fixed=(FixedAccount("ann", Secret("key-of-ann")),))
    async with await served(replace(loopback(), accounts=accounts), providers=[MemoryStorage("b").provider]) as made:
        yield made


def ids(line: dict[str, Any]) -> dict[str, str]:
    """Return the ids in a line."""
    return {
        name: line[name] for name in ("request", "account", "destination", "delivery", "collection") if name in line
    }


async def test_the_line_of_a_request_has_its_id_its_account_and_what_its_path_names(
    client: TestClient[web.Request, web.Application], lines: Lines
) -> None:
    made = await (await client.post("/destinations", json=FIELDS)).json()
    id_ = made["destination"]["id"]
    response = await client.get(f"/destinations/{id_}")
    unknown = await client.get("/account", headers={"X-API-Key": "nobody"})
    collection = await client.get("/collections/0A1B2C3D/results")
    delivery = await client.get("/deliveries/0A1B2C3D.0000000001.0A1B2C3D")
    trace = {"request": response.headers["X-Trace-ID"], "account": "ann"}
    assert ids(lines.about(f"GET /destinations/{id_}")) == {**trace, "destination": id_}
    assert ids(lines.about("GET /account")) == {"request": unknown.headers["X-Trace-ID"]}
    of_collection = ids(lines.about("GET /collections/"))
    assert of_collection == {"request": collection.headers["X-Trace-ID"], "account": "ann", "collection": "0A1B2C3D"}
    of_delivery = ids(lines.about("GET /deliveries/"))
    assert of_delivery["delivery"] == "0A1B2C3D.0000000001.0A1B2C3D"
    assert of_delivery["request"] == delivery.headers["X-Trace-ID"]
    assert len({line["request"] for line in map(json.loads, lines.text.splitlines()) if "request" in line}) == 5


@pytest.mark.parametrize("odd", ["a%0D%0AINFO%20fake", "%00", "%E2%80%A8", "x" * 101])
async def test_what_can_be_no_id_is_in_the_path_alone(
    client: TestClient[web.Request, web.Application], lines: Lines, odd: str
) -> None:
    """A host application writes these fields in its own way: what a client made up must not end its line."""
    response = await client.get(URL(f"/destinations/{odd}", encoded=True))
    assert response.status == 404
    trace = {"request": response.headers["X-Trace-ID"], "account": "ann"}
    assert ids(lines.about(f"GET /destinations/{odd}")) == trace


async def test_a_fault_while_a_request_is_answered_is_logged_with_all_its_ids(
    client: TestClient[web.Request, web.Application], lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the id that its answer has."""
    id_ = (await (await client.post("/destinations", json=FIELDS)).json())["destination"]["id"]
    assert isinstance(client.server, TestServer)
    service = client.server.app[DESTINATIONS]

    async def broken(account: str, id: str) -> None:  # noqa: A002
        logging.getLogger("some.library").warning("it is about to break")
        raise RuntimeError("hunter2")

    monkeypatch.setattr(service, "get", broken)
    response = await client.get(f"/destinations/{id_}")
    assert response.status == 500
    trace = {"request": response.headers["X-Trace-ID"], "account": "ann"}
    assert ids(lines.about("internal error")) == {**trace, "destination": id_}
    assert ids(lines.about("about to break")) == trace
    assert "hunter2" not in lines.text


async def test_a_malformed_request_is_logged_under_the_id_that_its_answer_has(lines: Lines) -> None:
    """It never reaches the application."""
    logging.getLogger().setLevel(logging.DEBUG)
    store = MemoryStore()
    await store.open()
    runner = Runner(create_app(loopback(), store=store), access_log_class=AccessLogger, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    writer.write(b"nonsense\r\n\r\n")
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    await writer.wait_closed()
    await runner.cleanup()
    trace = {"request": answer.partition("X-Trace-ID: ")[2][:32]}
    assert len(trace["request"]) == 32
    assert ids(lines.about("malformed request")) == trace
    assert [ids(line) for line in lines.of("aiohttp.access")] == [trace]


async def test_a_store_that_fails_is_logged_with_the_request(
    client: TestClient[web.Request, web.Application], lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(client.server, TestServer)

    async def full(*_: object, **__: object) -> None:
        raise StoreError("the disk failed")

    monkeypatch.setattr(client.server.app[DESTINATIONS].store, "save", full)
    response = await client.post("/collections", json={"name": "x", "destination_ids": []})
    assert response.status == 503
    assert ids(lines.about("the disk failed")) == {"request": response.headers["X-Trace-ID"], "account": "ann"}


async def test_whatever_is_logged_during_an_attempt_has_the_ids_of_its_delivery(tmp_path: Path, lines: Lines) -> None:
    """What we log of it, what a library does, and what becomes of its destination."""
    async with depot(tmp_path, breaker=1) as d:
        result_set = await d.ready()
        (one,) = result_set.destination_ids
        expected = {"account": "ann", "destination": one, "delivery": f"{result_set.id}.{one}"}
        d.warehouse.faults["bucket"] = [RuntimeError("hunter2")]
        await d.work()
        assert ids(lines.about("could not be attempted")) == expected
        d.warehouse.faults["bucket"] = [passing()]
        d.clock.now += 100
        await d.work()
        assert ids(lines.about("only probed")) == expected
        d.clock.now += 100_000
        await d.work()
        assert ids(lines.about("work again")) == expected
    assert "hunter2" not in lines.text


async def test_a_destination_that_is_found_well_by_a_test_is_named_too(tmp_path: Path, lines: Lines) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        (one,) = result_set.destination_ids
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        await d.work()
        await d.destinations.test_saved("ann", one)
        d.warehouse.broken.clear()
        await d.destinations.test_saved("ann", one)
        expected = {"account": "ann", "destination": one}
        assert ids(lines.about("does not work any more")) == expected
        assert ids(lines.about("work again")) == expected
        assert ids(lines.about(f"destination {one} of account ann works again")) == expected
        assert ids(lines.about("needs attention")) == {**expected, "delivery": f"{result_set.id}.{one}"}


async def test_an_outcome_that_can_not_be_kept_is_logged_with_its_delivery(tmp_path: Path, lines: Lines) -> None:
    store = FrailStore()
    await store.open()
    async with depot(tmp_path, store=store) as d:
        result_set = await d.ready()
        (one,) = result_set.destination_ids
        (job,) = await d.parts.queue.claim(1, each=1)
        store.fail_next["deliveries"] = 1
        await d.parts.courier.work(job)
        found = ids(lines.about("could not be kept"))
        assert found == {"account": "ann", "destination": one, "delivery": f"{result_set.id}.{one}"}


async def test_what_a_task_concerns_is_not_what_the_next_one_does() -> None:
    """Within a context, and for what a task begins; afterwards it is as before."""
    with concerning(request="1"):
        with concerning(account="ann"):
            assert SUBJECT.get() == {"request": "1", "account": "ann"}
        assert SUBJECT.get() == {"request": "1"}
    agenda, seen = Agenda(), list[dict[str, str]]()

    async def look() -> None:
        seen.append({**SUBJECT.get()})
        about(delivery="7")

    with concerning(request="2"):
        agenda.after(0, look)
    agenda.after(0, look)
    await until_two(seen)
    await agenda.close()
    assert sorted(map(str, seen)) == ["{'request': '2'}", "{}"]


async def until_two(seen: list[dict[str, str]]) -> None:
    """Return when there are two."""
    async with asyncio.timeout(20):
        while len(seen) < 2:
            await asyncio.sleep(0.001)


def test_ids_are_readable_in_the_plain_form_and_the_lines_own_go_first() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "done", "destination": "B"})
    with concerning(account="ann", destination="A"):
        assert PlainFormatter().format(record).endswith(" INFO x: done account=ann destination=B")
        assert json.loads(JsonFormatter().format(record))["destination"] == "B"


def test_a_host_application_gets_them_by_a_filter() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s for %(account)s, %(delivery)s"))
    handler.addFilter(add_ids)
    with concerning(account="ann", delivery="A"):
        handler.handle(logging.makeLogRecord({"msg": "done", "delivery": "B"}))
    assert stream.getvalue() == "done for ann, B\n"
