"""The header Idempotency-Key over HTTP: destinations, collections and result sets are made once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consignee.providers.memory import MemoryStorage
from consignee.sections import LimitsSettings
from consignee.settings import Settings

from .conftest import FIELDS, Client, Start, collected, form

HOOK = {"name": "Reports", "destination_ids": [], "notification_webhook": "https://hooks.example.com/x"}
KEY = {"Idempotency-Key": "first"}


async def post(client: Client, path: str, content: dict[str, Any], **headers: str) -> tuple[int, str | None, Any]:
    """Send JSON and return the status, whether it is an answer given before, and the body."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.post(path, json=content, headers=sent)
    return response.status, response.headers.get("Idempotent-Replayed"), await response.json()


async def upload(client: Client, collection: str, content: bytes = b"a", **headers: str) -> tuple[int, str | None, Any]:
    """Send a result set of one file."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await client.post(f"{collection}/results", data=form({"a.txt": content}, note="x"), headers=sent)
    return response.status, response.headers.get("Idempotent-Replayed"), await response.json()


async def count(client: Client, path: str) -> int:
    """How many are in a list."""
    answer = await (await client.get(path)).json()
    return len(answer.get("destinations") or answer.get("collections") or answer.get("results") or [])


async def test_a_repeated_create_of_a_destination_is_answered_alike(client: Client, storage: MemoryStorage) -> None:
    """Also when the answer would be another by now; and nothing is tested again."""
    first = await post(client, "/destinations", FIELDS, Idempotency_Key="k")
    await client.put(f"/destinations/{first[2]['destination']['id']}", json={"name": "Other"})
    storage.buckets.clear()
    assert first[:2] == (200, None)
    assert await post(client, "/destinations", FIELDS, Idempotency_Key="k") == (200, "true", first[2])
    assert await post(client, "/destination", FIELDS, Idempotency_Key="k") == (200, "true", first[2])
    assert await count(client, "/destinations") == 1


async def test_a_webhooks_secret_is_in_the_repeated_answer_and_not_in_the_store(
    client: Client, settings: Settings
) -> None:
    first = await post(client, "/collections", HOOK, Idempotency_Key="k")
    secret = first[2]["collection"]["notification_webhook_secret"]
    assert await post(client, "/collections", HOOK, Idempotency_Key="k") == (200, "true", first[2])
    assert await count(client, "/collections") == 1
    for path in Path(settings.store.path).glob("*.jsonl"):
        assert secret not in path.read_text(), path.name


async def test_a_repeated_result_set_is_not_kept_twice(client: Client, incoming: Path) -> None:
    collection = await collected(client)
    first = await upload(client, collection, Idempotency_Key="k")
    assert (first[0], first[2]["result"]["id"]) == (200, 1)
    assert await upload(client, collection, Idempotency_Key="k") == (200, "true", first[2])
    assert await count(client, f"{collection}/results") == 1
    assert list(incoming.iterdir()) == [] and len(list(incoming.with_name("kept").iterdir())) == 1
    assert (await upload(client, collection))[2]["result"]["id"] == 2


async def test_a_used_key_with_another_body_is_refused(client: Client) -> None:
    collection = await collected(client)
    await post(client, "/destinations", FIELDS, Idempotency_Key="k")
    await upload(client, collection, Idempotency_Key="k")
    for status, _, answer in (
        await post(client, "/destinations", {**FIELDS, "memory_path_prefix": "x"}, Idempotency_Key="k"),
        await post(client, "/destinations", {**FIELDS, "extra": 1}, Idempotency_Key="k"),
        await upload(client, collection, b"b", Idempotency_Key="k"),
    ):
        assert (status, answer["request_info"]["code"]) == (422, "idempotency_key_reused")
    assert (await count(client, "/destinations"), await count(client, f"{collection}/results")) == (1, 1)


async def test_a_key_is_one_accounts_and_for_one_list(start: Start, client: Client) -> None:
    """Other accounts and other collections may use the same; that it was used elsewhere is nowhere to be seen."""
    collections = [await collected(client), await collected(client)]
    answers = [
        await post(client, "/destinations", FIELDS, Idempotency_Key="k"),
        await post(client, "/destinations", FIELDS, Idempotency_Key="k", X_API_Key="key-b"),
        await post(client, "/collections", HOOK, Idempotency_Key="k"),
        *[await upload(client, collection, Idempotency_Key="k") for collection in collections],
    ]
    assert [answer[:2] for answer in answers] == [(200, None)] * 5


async def test_a_failed_create_may_be_mended_under_its_key(client: Client) -> None:
    """Bad fields, and a connectivity test that fails; for a result set, a bad file name."""
    for bad in ({**FIELDS, "name": ""}, {**FIELDS, "memory_bucket_name": "missing"}):
        assert (await post(client, "/destinations", bad, Idempotency_Key="k"))[0] == 400
    assert (await post(client, "/destinations", FIELDS, Idempotency_Key="k"))[:2] == (200, None)
    collection = await collected(client)
    refused = await client.post(f"{collection}/results", data=form({"..": b"a"}), headers={"Idempotency-Key": "k"})
    assert refused.status == 400
    assert (await upload(client, collection, Idempotency_Key="k"))[:2] == (200, None)


@pytest.mark.parametrize(
    ("header", "same"),
    [
        ('"k-1"', "k-1"),
        ("  k-1\t", "k-1"),
        ('"a\\"b\\\\c"', 'a"b\\c'),
        ("x" * 255, '"' + "x" * 255 + '"'),
        ("a,b", '"a,b"'),
    ],
)
async def test_a_key_is_the_same_with_quotation_marks_and_without(client: Client, header: str, same: str) -> None:
    """The standard wants a quoted string; most clients send it bare."""
    await post(client, "/collections", HOOK, Idempotency_Key=header)
    assert (await post(client, "/collections", HOOK, Idempotency_Key=same))[:2] == (200, "true")


@pytest.mark.parametrize(
    "header",
    ["", " ", '""', "x" * 256, f'"{"x" * 256}"', "a b", '"a b"', '"a', 'a"; x=1 "', '"a";x=1', "é", '"\\a"'],
)
async def test_a_bad_key_is_an_error(client: Client, header: str) -> None:
    status, _, answer = await post(client, "/collections", HOOK, Idempotency_Key=header)
    assert (status, answer["request_info"]["code"], [*answer["errors"]]) == (
        400,
        "invalid_request",
        ["Idempotency-Key"],
    )
    assert await count(client, "/collections") == 0


async def test_two_keys_are_an_error_and_other_routes_ignore_any(client: Client) -> None:
    two = await client.post("/collections", json=HOOK, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")])
    assert two.status == 400
    assert (await client.get("/collections", headers={"Idempotency-Key": ""})).status == 200


async def test_who_is_not_known_hears_nothing_of_keys(client: Client) -> None:
    assert (await post(client, "/collections", HOOK, Idempotency_Key="", X_API_Key="wrong"))[0] == 401


async def test_the_answer_is_the_same_after_a_restart(start: Start) -> None:
    client = await start()
    collection = await collected(client)
    asked: dict[str, dict[str, Any]] = {"/destinations": FIELDS, "/collections": HOOK}
    first = {path: await post(client, path, content, Idempotency_Key="k") for path, content in asked.items()}
    uploaded = await upload(client, collection, Idempotency_Key="k")
    await client.close()
    client = await start()
    for path, content in asked.items():
        assert await post(client, path, content, Idempotency_Key="k") == (200, "true", first[path][2])
    assert await upload(client, collection, Idempotency_Key="k") == (200, "true", uploaded[2])


@pytest.mark.parametrize("what", ["destinations", "collections", "results"])
async def test_of_fifty_at_once_with_one_key_one_makes_it(client: Client, what: str) -> None:
    """The others are told that it is under way, or get its answer."""
    collection = await collected(client)

    async def ask() -> tuple[int, str | None, Any]:
        if what == "results":
            return await upload(client, collection, Idempotency_Key="k")
        return await post(client, f"/{what}", FIELDS if what == "destinations" else HOOK, Idempotency_Key="k")

    answers = await asyncio.gather(*(ask() for _ in range(50)))
    (first,) = [answer[2] for answer in answers if answer[:2] == (200, None)]
    kinds = Counter((status, replayed) for status, replayed, _ in answers)
    assert {*kinds} <= {(200, None), (200, "true"), (409, None)} and kinds.total() == 50
    assert all(body == first for status, _, body in answers if status == 200)
    assert {body["request_info"]["code"] for status, _, body in answers if status == 409} <= {"conflict"}
    path = f"{collection}/results" if what == "results" else f"/{what}"
    assert await count(client, path) == (2 if what == "collections" else 1)
    assert (await ask())[1:] == ("true", first)


async def test_while_the_first_is_under_way_the_others_need_not_send_their_files(
    client: Client, incoming: Path
) -> None:
    """And when its client is gone, the key is free."""
    collection = await collected(client)

    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n' + b"a" * 1000
        await asyncio.Event().wait()

    headers = {"Content-Type": "multipart/form-data; boundary=x", **KEY}
    slow = asyncio.create_task(client.post(f"{collection}/results", data=endless(), headers=headers))
    async with asyncio.timeout(20):
        while not any(incoming.iterdir()):
            await asyncio.sleep(0.01)
        assert (await upload(client, collection, Idempotency_Key="first"))[0] == 409
        slow.cancel()
        while (answer := await upload(client, collection, Idempotency_Key="first"))[0] == 409:
            await asyncio.sleep(0.01)
    assert answer[:2] == (200, None)


async def test_too_many_keys_are_refused_for_that_account_alone(start: Start, settings: Settings) -> None:
    client = await start(replace(settings, limits=LimitsSettings(idempotency_keys=2)))
    statuses = [(await post(client, "/collections", HOOK, Idempotency_Key=str(n)))[0] for n in range(3)]
    refused = await client.post("/collections", json=HOOK, headers={"Idempotency-Key": "3"})
    assert statuses == [200, 200, 429] and int(refused.headers["Retry-After"]) > 86_000
    assert (await post(client, "/collections", HOOK))[0] == 200
    assert (await post(client, "/collections", HOOK, Idempotency_Key="9", X_API_Key="key-b"))[0] == 200
