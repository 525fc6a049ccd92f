"""Destinations over HTTP: the shapes that client code exists for, and what is added to them."""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from consignee import open_destinations
from consignee.errors import Conflict, StoreError
from consignee.providers.memory import MemoryStorage
from consignee.settings import LimitsSettings, Settings
from consignee.store import Document
from consignee.web.keys import DESTINATIONS

from .conftest import FIELDS, Client, Start, created

WELL = {
    "state": "ok",
    "failures": 0,
    "failing_since": None,
    "next_probe_at": None,
    "attention": None,
    "log": [],
}
OWN = {"memory_bucket_name": "bucket", "memory_path_prefix": None, "secrets_set": ["memory_secret"]}


async def test_a_created_destination_is_answered_in_the_shape_clients_know(client: Client) -> None:
    response = await client.post("/destinations", json=FIELDS)
    answer = await response.json()
    destination = answer["destination"]
    assert response.status == 200
    assert answer["request_info"] == {"success": True}
    assert answer["usage"] == {"used": 1, "limit": 50, "available": 49}
    assert len(destination["id"]) == 8 and set(destination["id"]) <= set("0123456789ABCDEF")
    assert destination["last_test"]["ok"] is True
    assert [step["step"] for step in destination["last_test"]["connectivity"]["steps"]] == ["upload", "delete"]
    times = {name: destination.pop(name) for name in ("id", "last_test", "created_at", "updated_at")}
    assert times["created_at"] == times["updated_at"] and times["created_at"].endswith("Z")
    assert destination == {"name": "Mine", "type": "memory", "enabled": True, "used_by": 0, "deliveries": WELL, **OWN}


async def test_the_other_spelling_of_the_route_creates_too(client: Client) -> None:
    response = await client.post("/destination", json=FIELDS)
    assert response.status == 200


async def test_a_form_and_json_store_the_same_bytes(start: Start, settings: Settings) -> None:
    """Only what is random or a time may differ: ids, seals, timestamps."""
    client = await start()
    form = {**FIELDS, "enabled": "1", "memory_path_prefix": "", "source": "sdk", "s3_bucket_name": "ignored"}
    by_form = await (await client.post("/destinations", data=form)).json()
    await created(client, enabled=True, source="sdk", s3_bucket_name="ignored", memory_path_prefix=None)
    with open(f"{settings.store.path}/destinations.jsonl") as file:
        documents = [json.loads(line)["data"] for line in list(file)[1:]]
    assert by_form["request_info"]["success"] is True
    first, second = [json.dumps(_without_chance(document)) for document in documents]
    assert first == second


def _without_chance(document: dict[str, Any]) -> dict[str, Any]:
    secrets = {name: len(sealed) for name, sealed in document["secrets"].items()}
    return {**document, "secrets": secrets, "created_at": "", "updated_at": "", "last_test": None}


async def test_all_wrong_fields_are_named_at_once(client: Client) -> None:
    response = await client.post("/destinations", json={"type": "s3", "enabled": "maybe", "s3_bucket_name": "../x"})
    answer = await response.json()
    assert response.status == 400
    assert answer["request_info"]["code"] == "invalid_request"
    assert set(answer["errors"]) == {
        "name",
        "enabled",
        "s3_access_key_id",
        "s3_secret_access_key",
        "s3_bucket_name",
    }
    assert answer["errors"]["name"] == ["is required"]


async def test_a_failed_test_fails_the_create_and_saves_nothing(client: Client) -> None:
    response = await client.post("/destinations", json={**FIELDS, "memory_secret": "wrong"})
    answer = await response.json()
    assert response.status == 400
    assert answer["request_info"]["code"] == "credentials_rejected"
    assert answer["connectivity_problem"] is True
    assert answer["connectivity"]["ok"] is False
    assert answer["connectivity"]["left_behind"] is None
    (step,) = answer["connectivity"]["steps"]
    assert set(step) == {"step", "ok", "ms", "code", "provider_code", "provider_request_id", "hint"}
    assert (step["step"], step["ok"], step["code"]) == ("upload", False, "credentials_rejected")
    assert (await (await client.get("/destinations")).json())["destinations"] == []


async def test_a_disabled_destination_is_not_tested(client: Client, storage: MemoryStorage) -> None:
    destination = await created(client, enabled=False, memory_secret="wrong")
    assert destination["last_test"] is None
    assert destination["enabled"] is False


async def test_what_was_left_behind_is_named_and_removed_later(client: Client, storage: MemoryStorage) -> None:
    storage.may_delete = False
    answer = await (await client.post("/destinations", json={**FIELDS, "memory_path_prefix": "a/%DATE%"})).json()
    key = answer["connectivity"]["left_behind"]
    assert key.startswith("a/2000_01_01/")
    assert list(storage.buckets["bucket"]) == [key]
    assert key in answer["connectivity"]["steps"][-1]["hint"]
    storage.may_delete = True
    async with asyncio.timeout(30):
        while storage.buckets["bucket"]:
            await asyncio.sleep(0.05)


async def test_a_destination_can_be_read_changed_and_deleted(client: Client) -> None:
    made = await created(client)
    path = f"/destinations/{made['id']}"
    assert (await (await client.get(path)).json())["destination"] == made
    changed = (await (await client.put(path, data={"name": "Another"})).json())["destination"]
    assert changed["name"] == "Another"
    assert {**changed, "name": "", "updated_at": ""} == {**made, "name": "", "updated_at": ""}
    response = await client.delete(path)
    assert (response.status, await response.json()) == (
        200,
        {"request_info": {"success": True, "message": "1 Destination deleted"}},
    )
    assert (await client.delete(path)).status == (await client.get(path)).status == 404


@pytest.mark.parametrize(
    ("enabled", "change", "tested"),
    [
        (True, {"name": "Another"}, False),
        (True, {"enabled": True}, False),
        (True, {"memory_secret": ""}, False),
        (True, {"memory_secret": "memory-secret"}, False),
        (True, {"memory_secret": "wrong"}, True),
        (True, {"memory_bucket_name": "other"}, True),
        (True, {"memory_path_prefix": "x"}, True),
        (True, {"memory_bucket_name": "other", "enabled": False}, False),
        (False, {"memory_secret": "wrong"}, False),
        (False, {"memory_bucket_name": "other"}, False),
        (False, {"enabled": True}, True),
        (False, {"enabled": "1", "name": "Another"}, True),
    ],
)
async def test_an_update_tests_the_merged_destination_at_just_these_moments(
    start: Start, storage: MemoryStorage, enabled: bool, change: dict[str, Any], tested: bool
) -> None:
    """The storage is taken away before the update: a test that runs fails, and then nothing has changed."""
    client = await start()
    made = await created(client, enabled=enabled)
    del storage.buckets["bucket"]
    response = await client.put(f"/destinations/{made['id']}", json=change)
    assert (response.status == 400) is tested
    if tested:
        assert (await response.json())["connectivity_problem"] is True
        assert (await (await client.get(f"/destinations/{made['id']}")).json())["destination"] == made


async def test_an_update_of_the_bucket_forgets_the_outcome_for_the_old_one(client: Client) -> None:
    made = await created(client)
    path = f"/destinations/{made['id']}"
    answer = await (await client.put(path, json={"enabled": False, "memory_bucket_name": "other"})).json()
    assert answer["destination"]["last_test"] is None


async def test_an_empty_optional_field_is_cleared(client: Client) -> None:
    made = await created(client, memory_path_prefix="a/b")
    answer = await (await client.put(f"/destinations/{made['id']}", data={"memory_path_prefix": ""})).json()
    assert made["memory_path_prefix"] == "a/b"
    assert answer["destination"]["memory_path_prefix"] is None


async def test_lists_are_searched_sorted_and_paged(client: Client) -> None:
    for name in ("banana", "Apple", "cherry", "apple pie"):
        await created(client, name=name, enabled=name != "cherry")

    async def listed(**query: str | int) -> list[str]:
        answer = await (await client.get("/destinations", params=query)).json()
        return [one["name"] for one in answer["destinations"]]

    assert await listed() == ["banana", "Apple", "cherry", "apple pie"]
    assert await listed(sort_by="name") == ["Apple", "apple pie", "banana", "cherry"]
    assert await listed(sort_by="name", sort_direction="descending") == ["cherry", "banana", "apple pie", "Apple"]
    assert await listed(search_term="APPLE") == ["Apple", "apple pie"]
    assert await listed(enabled="false") == ["cherry"]
    assert await listed(type="s3") == []
    assert await listed(sort_by="type", page_size=1, page=4) == ["apple pie"]
    assert await listed(page=5, page_size=1) == []
    assert await listed(sort_by="created_at", page_size=3) == ["banana", "Apple", "cherry"]


async def test_a_page_says_of_how_many_it_is_one(client: Client) -> None:
    for number in range(11):
        await created(client, name=f"number {number}")
    answer = await (await client.get("/destinations")).json()
    assert len(answer["destinations"]) == 10
    assert answer["usage"] == {"used": 11, "limit": 50, "available": 39}
    assert answer["pagination"] == {
        "current_page": 1,
        "page_size": 10,
        "count_this_page": 10,
        "total_count": 11,
        "total_pages": 2,
    }


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("page=0", {"page"}),
        ("page=x&page_size=101", {"page", "page_size"}),
        ("page=1.5", {"page"}),
        ("page=99999999999999999999", {"page"}),
        ("sort_by=secret&sort_direction=up", {"sort_by", "sort_direction"}),
        ("enabled=perhaps", {"enabled"}),
        ("page=1&page=2", {"page"}),
        ("search_term=%00", {"search_term"}),
    ],
)
async def test_a_wrong_query_is_refused(client: Client, query: str, wrong: set[str]) -> None:
    response = await client.get(f"/destinations?{query}")
    assert response.status == 400
    assert set((await response.json())["errors"]) == wrong


async def test_another_accounts_destination_is_an_ordinary_404(start: Start) -> None:
    ann = await start()
    made = await created(ann)
    as_bob = {"X-API-Key": "key-b"}
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/test")):
        real = await ann.request(method, f"/destinations/{made['id']}{path}", json={"name": "x"}, headers=as_bob)
        none = await ann.request(method, f"/destinations/FFFFFFFF{path}", json={"name": "x"}, headers=as_bob)
        assert (real.status, await real.read()) == (none.status, await none.read())
        assert real.status == 404
    foreign = await ann.post("/destinations/verify", json={"ids": [made["id"]]}, headers=as_bob)
    assert foreign.status == 404
    assert (await (await ann.get("/destinations", headers=as_bob)).json())["destinations"] == []
    assert (await (await ann.get("/destinations")).json())["destinations"] == [made]


async def test_the_limit_of_an_account_cannot_be_passed_by_two_at_once(start: Start, settings: Settings) -> None:
    client = await start(replace(settings, limits=LimitsSettings(destinations_per_account=3)))
    responses = await asyncio.gather(*(client.post("/destinations", json=FIELDS) for _ in range(8)))
    assert sorted(response.status for response in responses) == [200] * 3 + [400] * 5
    refused = [await response.json() for response in responses if response.status == 400]
    assert {answer["request_info"]["code"] for answer in refused} == {"limit_reached"}
    answer = await (await client.get("/destinations")).json()
    assert answer["usage"] == {"used": 3, "limit": 3, "available": 0}
    assert len(answer["destinations"]) == 3


async def test_of_two_updates_at_once_one_wins_and_the_other_conflicts(client: Client) -> None:
    made = await created(client)
    path = f"/destinations/{made['id']}"
    names = [f"name {number}" for number in range(6)]
    responses = await asyncio.gather(*(client.put(path, json={"name": name}) for name in names))
    statuses = {name: response.status for name, response in zip(names, responses, strict=True)}
    winners = [name for name, status in statuses.items() if status == 200]
    assert set(statuses.values()) == {200, 409}
    conflict = next(response for response in responses if response.status == 409)
    assert (await conflict.json())["request_info"]["code"] == "conflict"
    assert (await (await client.get(path)).json())["destination"]["name"] in winners


async def test_a_test_that_ends_meanwhile_takes_nothing_from_an_update(client: Client) -> None:
    made = await created(client)
    path = f"/destinations/{made['id']}"
    responses = await asyncio.gather(
        client.put(path, json={"name": "Another"}), *(client.post(f"{path}/test") for _ in range(5))
    )
    assert [response.status for response in responses] == [200] * 6
    assert (await (await client.get(path)).json())["destination"]["name"] == "Another"


async def test_fields_can_be_tested_without_saving(client: Client) -> None:
    good = await client.post("/destinations/test", json=FIELDS)
    assert (await good.json())["connectivity"]["ok"] is True
    bad = await client.post("/destinations/test", json={**FIELDS, "memory_bucket_name": "none"})
    assert (bad.status, (await bad.json())["request_info"]["code"]) == (400, "bucket_not_found")
    wrong = await client.post("/destinations/test", json={"type": "memory"})
    assert (wrong.status, (await wrong.json())["request_info"]["code"]) == (400, "invalid_request")
    assert (await (await client.get("/destinations")).json())["destinations"] == []


async def test_a_saved_destination_is_tested_and_the_outcome_remembered(client: Client, storage: MemoryStorage) -> None:
    made = await created(client)
    path = f"/destinations/{made['id']}"
    assert (await client.post(f"{path}/test")).status == 200
    del storage.buckets["bucket"]
    failed = await client.post(f"{path}/test")
    answer = await failed.json()
    assert (failed.status, answer["request_info"]["code"]) == (400, "bucket_not_found")
    kept = (await (await client.get(path)).json())["destination"]
    assert kept["last_test"]["ok"] is False
    assert kept["last_test"]["connectivity"] == answer["connectivity"]
    assert kept["updated_at"] == made["updated_at"]


async def test_all_of_an_account_are_verified_whatever_the_outcomes(client: Client, storage: MemoryStorage) -> None:
    storage.buckets["other"] = {}
    good = await created(client)
    bad = await created(client, memory_bucket_name="other")
    del storage.buckets["other"]
    answer = await (await client.post("/destinations/verify", json={})).json()
    assert answer["request_info"] == {"success": True}
    assert {one["id"]: one["ok"] for one in answer["results"]} == {good["id"]: True, bad["id"]: False}
    assert all(set(one) == {"id", "ok", "connectivity"} for one in answer["results"])


@pytest.mark.parametrize("as_form", [True, False])
async def test_only_those_named_are_verified(client: Client, as_form: bool) -> None:
    first, second, _ = [await created(client) for _ in range(3)]
    ids = [first["id"], second["id"], first["id"]]
    body: dict[str, Any] = {"data": {"ids": ",".join(ids)}} if as_form else {"json": {"ids": ids}}
    answer = await (await client.post("/destinations/verify", **body)).json()
    assert sorted(one["id"] for one in answer["results"]) == sorted([first["id"], second["id"]])


async def test_a_line_is_sent_for_each_as_it_ends(client: Client) -> None:
    ids = {(await created(client))["id"] for _ in range(3)}
    response = await client.post("/destinations/verify", headers={"Accept": "application/x-ndjson"})
    lines = [json.loads(line) for line in (await response.text()).splitlines()]
    assert response.content_type == "application/x-ndjson"
    assert response.headers["X-Trace-ID"]
    assert {line["id"] for line in lines} == ids
    assert all(line["ok"] for line in lines)


async def test_no_destinations_are_no_lines(client: Client) -> None:
    response = await client.post("/destinations/verify", headers={"Accept": "application/x-ndjson"})
    assert (response.status, await response.text()) == (200, "")


async def test_an_unknown_id_is_a_404_also_for_lines(client: Client) -> None:
    response = await client.post(
        "/destinations/verify", json={"ids": ["FFFFFFFF"]}, headers={"Accept": "application/x-ndjson"}
    )
    assert (response.status, (await response.json())["request_info"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("ids", [5, [5], {"a": "b"}])
async def test_ids_that_are_none_are_refused(client: Client, ids: object) -> None:
    response = await client.post("/destinations/verify", json={"ids": ids})
    assert (response.status, set((await response.json())["errors"])) == (400, {"ids"})


async def test_destinations_survive_a_restart(start: Start) -> None:
    client = await start()
    made = await created(client)
    await client.close()
    again = await start()
    assert (await (await again.get(f"/destinations/{made['id']}")).json())["destination"] == made


@pytest.mark.parametrize("page", ["1_0", "+1", "%EF%BC%91", "%201"])
async def test_a_page_is_digits_alone(client: Client, page: str) -> None:
    response = await client.get(f"/destinations?page={page}")
    assert (response.status, set((await response.json())["errors"])) == (400, {"page"})


async def test_a_list_can_be_asked_for_a_type_by_its_other_name(client: Client) -> None:
    fields = {"type": "s3_compatible", "enabled": False, "s3_endpoint": "http://127.0.0.1:9000"}
    fields |= {"s3_access_key_id": "k", "s3_secret_access_key": "s", "s3_bucket_name": "bucket"}
    made = await created(client, **fields)
    listed = await (await client.get("/destinations?type=s3_compatible")).json()
    assert [one["id"] for one in listed["destinations"]] == [made["id"]]


async def test_the_outcome_for_the_old_bucket_is_not_taken_for_the_new_one(
    settings: Settings, storage: MemoryStorage
) -> None:
    """A disabled destination is pointed elsewhere at every moment of a test that is under way."""
    met = 0
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        for moment in range(100):
            made = await destinations.create("ann", {**FIELDS, "enabled": False})
            testing = asyncio.create_task(destinations.test_saved("ann", made.id))
            await asyncio.sleep(moment * 0.00003)
            met += not testing.done()
            with suppress(Conflict):
                await destinations.update("ann", made.id, {"memory_bucket_name": "elsewhere"})
            assert (await testing).ok
            now = await destinations.get("ann", made.id)
            assert (now.settings["memory_bucket_name"], now.last_test) == ("elsewhere", None)
            await destinations.delete("ann", made.id)
    assert met > 5


async def test_an_outcome_that_cannot_be_kept_is_answered_all_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The store fails only for destinations here: the memory of the test's file is kept in another file."""
    made = await created(client)
    assert client.app is not None
    store = client.app[DESTINATIONS].store
    save = store.save

    async def failing(kind: str, *arguments: Any, **options: Any) -> Document:
        if kind == "destinations":
            raise StoreError("could not write")
        saved: Document = await save(kind, *arguments, **options)
        return saved

    monkeypatch.setattr(store, "save", failing)
    answer = await (await client.post("/destinations/verify", json={})).json()
    assert [(one["id"], one["ok"]) for one in answer["results"]] == [(made["id"], True)]
    assert "could not be kept" in caplog.text


async def test_a_test_that_cannot_be_run_is_an_outcome_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await created(client)
    assert client.app is not None
    store = client.app[DESTINATIONS].store

    async def failing(*_: Any, **__: Any) -> Document:
        raise StoreError("could not write")

    monkeypatch.setattr(store, "save", failing)
    lines = await client.post("/destinations/verify", headers={"Accept": "application/x-ndjson"})
    (line,) = [json.loads(line) for line in (await lines.text()).splitlines()]
    assert (line["id"], line["ok"]) == (made["id"], False)
    assert line["connectivity"]["steps"][0]["code"] == "provider_error"


async def test_a_client_that_goes_away_is_no_fault_of_ours(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        await created(client)
    response = await client.post("/destinations/verify", headers={"Accept": "application/x-ndjson"})
    response.close()
    await client.get("/healthz")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
