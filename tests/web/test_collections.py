"""Collections over HTTP."""

import asyncio
import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consignee.settings import LimitsSettings, Settings

from .conftest import Client, Start
from .conftest import created as destination

AS_BOB = {"X-API-Key": "key-b"}
SECRET = "notification_webhook_secret"


async def created(client: Client, **fields: Any) -> dict[str, Any]:
    """Create a collection and return it as answered."""
    response = await client.post("/collections", json={"name": "Reports", "destination_ids": [], **fields})
    answer = await response.json()
    assert response.status == 200, answer
    collection: dict[str, Any] = answer["collection"]
    return collection


async def test_a_collection_is_answered_in_the_shape_clients_know(client: Client) -> None:
    where = (await destination(client))["id"]
    collection = await created(client, destination_ids=[where])
    assert len(collection.pop("id")) == 8
    assert collection.pop("created_at") == collection.pop("updated_at")
    assert collection == {
        "name": "Reports",
        "destination_ids": [where],
        "notification_webhook": None,
        "manifest": False,
        "secrets_set": [],
        "results_count": 0,
        "next_result_set_id": 1,
    }


async def test_a_form_names_destinations_in_one_string(client: Client) -> None:
    first, second = [(await destination(client))["id"] for _ in range(2)]
    form = {"name": "Reports", "destination_ids": f"{first}, {second},{first}"}
    answer = await (await client.post("/collections", data=form)).json()
    assert answer["collection"]["destination_ids"] == [first, second]
    empty = await (await client.post("/collections", data={"name": "Empty", "destination_ids": ""})).json()
    assert empty["collection"]["destination_ids"] == []


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, {"name", "destination_ids"}),
        ({"name": " ", "destination_ids": 5}, {"name", "destination_ids"}),
        ({"name": 5, "destination_ids": [5]}, {"name", "destination_ids"}),
        ({"name": "x", "destination_ids": None}, {"destination_ids"}),
        ({"name": "x", "destination_ids": ["FFFFFFFF"]}, {"destination_ids"}),
        ({"name": "x", "destination_ids": ["0"] * 101}, {"destination_ids"}),
        ({"name": "x" * 201, "destination_ids": []}, {"name"}),
        (
            {"name": "", "notification_webhook": "x", "notification_webhook_secret": "x", "manifest": "x"},
            {"name", "destination_ids", "notification_webhook", "notification_webhook_secret", "manifest"},
        ),
    ],
)
async def test_wrong_fields_are_named_at_once(client: Client, fields: dict[str, Any], wrong: set[str]) -> None:
    response = await client.post("/collections", json=fields)
    answer = await response.json()
    assert (response.status, answer["request_info"]["code"]) == (400, "invalid_request")
    assert set(answer["errors"]) == wrong
    assert all(isinstance(text, str) for texts in answer["errors"].values() for text in texts)


async def test_a_new_webhooks_secret_is_shown_exactly_once(client: Client) -> None:
    made = await created(client, notification_webhook="https://hooks.example.com/a", manifest=True)
    secret = made.pop(SECRET)
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert (made["notification_webhook"], made["manifest"]) == ("https://hooks.example.com/a", True)
    assert made["secrets_set"] == [SECRET]
    path = f"/collections/{made['id']}"
    assert (await (await client.get(path)).json())["collection"] == made
    assert (await (await client.get("/collections")).json())["collections"] == [made]
    for fields in ({"name": "Another"}, {SECRET: ""}, {"notification_webhook": "https://hooks.example.com/b"}):
        answer = await (await client.put(path, json=fields)).text()
        assert "whsec_" not in answer
        assert json.loads(answer)["collection"]["secrets_set"] == [SECRET]
    assert secret.removeprefix("whsec_") not in await (await client.get(path)).text()


async def test_a_secret_of_ones_own_is_never_answered(client: Client) -> None:
    """Not even where the rest of the request is wrong."""
    given = "whsec_" + base64.b64encode(b"a canary of twenty-four b").decode()
    fields = {"name": "x", "destination_ids": "", "notification_webhook": "https://hooks.example.com", SECRET: given}
    for wrong in ({}, {"name": ""}, {SECRET: given + "!"}):
        answer = await (await client.post("/collections", data={**fields, **wrong})).text()
        assert given[6:] not in answer
    assert (await (await client.get("/collections")).json())["collections"][0]["secrets_set"] == [SECRET]


async def test_a_form_sets_and_ends_a_webhook_and_the_manifest(client: Client) -> None:
    form = {"name": "x", "destination_ids": "", "notification_webhook": "https://hooks.example.com", "manifest": "1"}
    made = (await (await client.post("/collections", data=form)).json())["collection"]
    assert (made["notification_webhook"], made["manifest"]) == ("https://hooks.example.com", True)
    ended = {"notification_webhook": "", "manifest": "0"}
    after = (await (await client.put(f"/collections/{made['id']}", data=ended)).json())["collection"]
    assert (after["notification_webhook"], after["manifest"], after["secrets_set"]) == (None, False, [SECRET])


async def test_anothers_destination_is_one_that_does_not_exist(client: Client) -> None:
    theirs = (await destination(client))["id"]
    fields = {"name": "x", "destination_ids": [theirs]}
    real = await client.post("/collections", json=fields, headers=AS_BOB)
    none = await client.post("/collections", json={**fields, "destination_ids": ["0" * 8]}, headers=AS_BOB)
    assert (await real.text()).replace(theirs, "0" * 8) == await none.text()
    assert real.status == 400


async def test_a_collection_can_be_read_changed_and_deleted(client: Client) -> None:
    where = (await destination(client))["id"]
    made = await created(client, destination_ids=[where])
    path = f"/collections/{made['id']}"
    assert (await (await client.get(path)).json())["collection"] == made
    renamed = (await (await client.put(path, data={"name": "Another"})).json())["collection"]
    assert {**renamed, "updated_at": ""} == {**made, "name": "Another", "updated_at": ""}
    emptied = (await (await client.put(path, json={"destination_ids": []})).json())["collection"]
    assert (emptied["name"], emptied["destination_ids"]) == ("Another", [])
    response = await client.delete(path)
    assert (response.status, await response.json()) == (
        200,
        {"request_info": {"success": True, "message": "1 Collection deleted"}},
    )
    for method in ("GET", "PUT", "DELETE"):
        assert (await client.request(method, path, json={})).status == 404


async def test_a_destination_that_is_gone_stays_named_and_is_no_hindrance(client: Client) -> None:
    where = (await destination(client))["id"]
    made = await created(client, destination_ids=[where])
    await client.delete(f"/destinations/{where}")
    path = f"/collections/{made['id']}"
    same = await client.put(path, json={"name": "Another", "destination_ids": [where]})
    assert (same.status, (await same.json())["collection"]["destination_ids"]) == (200, [where])


async def test_lists_are_paged_with_counts(client: Client) -> None:
    for number in range(12):
        await created(client, name=f"number {number}")
    first = await (await client.get("/collections")).json()
    assert [one["name"] for one in first.pop("collections")] == [f"number {number}" for number in range(10)]
    assert first == {
        "request_info": {"success": True},
        "total_count": 12,
        "total_pages": 2,
        "current_page": 1,
        "count_this_page": 10,
    }
    second = await (await client.get("/collections?page=2")).json()
    assert [one["name"] for one in second["collections"]] == ["number 10", "number 11"]
    past = await (await client.get("/collections?page=3&page_size=100")).json()
    assert (past["collections"], past["total_pages"]) == ([], 1)
    wrong = await client.get("/collections?page=0&page_size=101")
    assert (wrong.status, set((await wrong.json())["errors"])) == (400, {"page", "page_size"})


async def test_destinations_say_how_many_collections_name_them(client: Client) -> None:
    first, second = [(await destination(client))["id"] for _ in range(2)]
    await created(client, destination_ids=[first])
    await created(client, destination_ids=[first, second])
    listed = (await (await client.get("/destinations")).json())["destinations"]
    assert {one["id"]: one["used_by"] for one in listed} == {first: 2, second: 1}
    one = await (await client.get(f"/destinations/{first}")).json()
    assert one["destination"]["used_by"] == 2


async def test_another_accounts_collection_is_an_ordinary_404(client: Client) -> None:
    made = await created(client)
    for method in ("GET", "PUT", "DELETE"):
        real = await client.request(method, f"/collections/{made['id']}", json={}, headers=AS_BOB)
        none = await client.request(method, "/collections/FFFFFFFF", json={}, headers=AS_BOB)
        assert (real.status, await real.read()) == (none.status, await none.read())
        assert real.status == 404
    assert (await (await client.get("/collections", headers=AS_BOB)).json())["total_count"] == 0


async def test_the_limit_of_an_account_cannot_be_passed_by_two_at_once(start: Start, settings: Settings) -> None:
    client = await start(replace(settings, limits=LimitsSettings(collections_per_account=3)))
    fields = {"name": "x", "destination_ids": []}
    responses = await asyncio.gather(*(client.post("/collections", json=fields) for _ in range(6)))
    assert sorted(response.status for response in responses) == [200] * 3 + [400] * 3
    info = (await (await client.get("/account")).json())["account_info"]
    assert (info["collections_used"], info["collections_limit"], info["collections_available"]) == (3, 3, 0)


async def test_of_two_updates_at_once_one_wins_and_the_other_conflicts(client: Client) -> None:
    path = f"/collections/{(await created(client))['id']}"
    responses = await asyncio.gather(*(client.put(path, json={"name": f"name {number}"}) for number in range(6)))
    assert {response.status for response in responses} == {200, 409}


async def test_collections_survive_a_restart(start: Start, settings: Settings) -> None:
    """And no file of the store holds a secret as it is."""
    client = await start()
    made = await created(client, notification_webhook="https://hooks.example.com")
    secret = made.pop(SECRET)
    await client.close()
    again = await start()
    assert (await (await again.get(f"/collections/{made['id']}")).json())["collection"] == made
    files = [path.read_text() for path in Path(settings.store.path).iterdir() if path.is_file()]
    assert any(made["id"] in text for text in files)
    assert not any(secret[6:] in text for text in files)
