"""Deliveries over HTTP: listed, looked at, repeated."""

from typing import Any

import pytest

from consignee.providers.memory import MemoryStorage

from .conftest import Client, collected, created, rested, sent

AS_BOB = {"X-API-Key": "key-b"}


async def listed(client: Client, query: str = "", **headers: str) -> dict[str, Any]:
    """Return the answer to a list of deliveries."""
    response = await client.get(f"/deliveries?{query}", headers=headers)
    answer: dict[str, Any] = await response.json()
    assert response.status == 200, answer
    return answer


async def test_a_delivery_is_shown_with_every_upload(client: Client, storage: MemoryStorage) -> None:
    here = (await created(client, memory_path_prefix="out"))["id"]
    collection = await collected(client, here)
    await sent(client, collection, {"a": b"12", "b": b"345"})
    await rested(client, collection)
    (shown,) = (await listed(client))["deliveries"]
    assert (shown["collection_id"], shown["result_set_id"]) == (collection.rpartition("/")[2], 1)
    assert (shown["destination_id"], shown["status"], shown["bytes_done"]) == (here, "success", 5)
    assert "uploads" not in shown
    answer = await (await client.get(f"/deliveries/{shown['id']}")).json()
    assert answer["request_info"] == {"success": True}
    uploads = answer["delivery"].pop("uploads")
    assert answer["delivery"] == shown
    assert {(one["key"], one["bytes"], one["attempt"], one["ok"]) for one in uploads} == {
        ("out/a", 2, 1, True),
        ("out/b", 3, 1, True),
    }
    assert {"ms", "code", "provider_code", "provider_request_id", "at"} <= set(uploads[0])
    assert (await listed(client))["next_cursor"] is None


async def test_a_list_can_be_filtered(client: Client, storage: MemoryStorage) -> None:
    storage.buckets["gone"] = {}
    good, bad = (await created(client))["id"], (await created(client, memory_bucket_name="gone"))["id"]
    del storage.buckets["gone"]
    first, second = await collected(client, good, bad), await collected(client, good)
    for collection in (first, second):
        await sent(client, collection, {"a": b""})
        await rested(client, collection)

    async def found(query: str) -> list[tuple[str, str]]:
        answer = await listed(client, query)
        return sorted((one["collection_id"], one["destination_id"]) for one in answer["deliveries"])

    one, two = (path.rpartition("/")[2] for path in (first, second))
    assert await found("") == sorted([(one, good), (one, bad), (two, good)])
    assert await found("collection_id=" + one) == sorted([(one, good), (one, bad)])
    assert await found("destination_id=" + good) == sorted([(one, good), (two, good)])
    assert await found("status=failed&unknown=1&cursor=") == [(one, bad)]
    assert await found(f"status=success&collection_id={two}&destination_id={good}") == [(two, good)]
    assert await found(f"collection_id={two}&destination_id={bad}") == []
    assert await found("collection_id=FFFFFFFF") == []


async def test_pages_follow_each_other_while_new_deliveries_come(client: Client) -> None:
    """Newest first; nothing twice, nothing left out, and what is newer than the first page is not mixed in."""
    here = (await created(client))["id"]
    collection = await collected(client, here)

    async def add(count: int) -> None:
        for _ in range(count):
            await sent(client, collection, {"a": b""})

    await add(5)
    numbers, query = [], "page_size=2"
    while True:
        answer = await listed(client, query)
        numbers.append([one["result_set_id"] for one in answer["deliveries"]])
        if answer["next_cursor"] is None:
            break
        query = f"page_size=2&cursor={answer['next_cursor']}"
        await add(1)
    assert numbers == [[5, 4], [3, 2], [1]]


async def test_pages_follow_each_other_when_the_last_one_shown_is_gone(client: Client) -> None:
    here = (await created(client))["id"]
    old, new = await collected(client, here), await collected(client, here)
    for collection in (old, new):
        await sent(client, collection, {"a": b""})
    first = await listed(client, "page_size=1")
    await client.delete(new)
    second = await listed(client, f"page_size=1&cursor={first['next_cursor']}")
    assert [one["collection_id"] for one in second["deliveries"]] == [old.rpartition("/")[2]]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("status=lost", {"status"}),
        ("page_size=101", {"page_size"}),
        ("page_size=0", {"page_size"}),
        ("cursor=x", {"cursor"}),
        ("cursor=%C3%A9", {"cursor"}),
        ("cursor=NQ==", {"cursor"}),
        ("cursor=WzEsMl0=", {"cursor"}),
        ("status=failed&status=success", {"status"}),
        ("status=x&page_size=x&cursor=x", {"status", "page_size", "cursor"}),
    ],
)
async def test_wrong_parameters_are_named_at_once(client: Client, query: str, wrong: set[str]) -> None:
    response = await client.get(f"/deliveries?{query}")
    answer = await response.json()
    assert (response.status, set(answer["errors"])) == (400, wrong)


async def test_another_accounts_deliveries_do_not_exist(client: Client) -> None:
    collection = await collected(client, (await created(client))["id"])
    await sent(client, collection, {"a": b""})
    (shown,) = (await listed(client))["deliveries"]
    assert (await listed(client, "", **AS_BOB))["deliveries"] == []
    real = await client.get(f"/deliveries/{shown['id']}", headers=AS_BOB)
    none = await client.get("/deliveries/FFFFFFFF", headers=AS_BOB)
    assert (real.status, await real.read()) == (none.status, await none.read()) == (404, await none.read())


async def test_what_failed_at_a_destination_is_sent_again_at_once(client: Client, storage: MemoryStorage) -> None:
    here = (await created(client))["id"]
    collection = await collected(client, here)
    await sent(client, collection, {"early": b"1"})
    await rested(client, collection)
    storage.buckets["away"] = storage.buckets.pop("bucket")
    for number in (2, 3):
        await sent(client, collection, {f"file {number}": b""})
        result = await rested(client, collection, number)
        assert result["destination_status"][here]["status"] == "failed"
    shown = (await (await client.get(f"/destinations/{here}")).json())["destination"]["deliveries"]
    assert (shown["state"], shown["attention"]["code"]) == ("needs_attention", "bucket_not_found")
    storage.buckets["bucket"] = {}
    path = f"/destinations/{here}/resend"
    assert (await (await client.post(path, json={"since": "2999-01-01"})).json())["resent"] == 0
    answer = await (await client.post(path, data={"since": result["ended_at"]})).json()
    assert answer == {"request_info": {"success": True}, "resent": 1}
    await rested(client, collection, 3)
    assert set(storage.buckets["bucket"]) == {"file 3"}
    assert (await (await client.post(path)).json())["resent"] == 1
    await rested(client, collection, 2)
    assert set(storage.buckets["bucket"]) == {"file 2", "file 3"}
    listed_ = (await (await client.get("/destinations")).json())["destinations"]
    assert listed_[0]["deliveries"]["state"] == "ok"


async def test_only_an_existing_destination_and_a_time_are_understood(client: Client) -> None:
    here = (await created(client))["id"]
    for since in ("yesterday", 5, "2026-13-01", ["2026-01-01"]):
        response = await client.post(f"/destinations/{here}/resend", json={"since": since})
        assert (response.status, set((await response.json())["errors"])) == (400, {"since"})
    real = await client.post(f"/destinations/{here}/resend", headers=AS_BOB)
    none = await client.post("/destinations/FFFFFFFF/resend", headers=AS_BOB)
    assert real.status == 404
    assert await real.read() == await none.read()
