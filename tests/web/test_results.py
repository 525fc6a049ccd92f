"""Result sets over HTTP: taken in, shown, sent again."""

import hashlib
from typing import Any

import pytest

from consignee.delivery.file_names import NAME_BYTES
from consignee.providers.memory import MemoryStorage

from .conftest import Client, collected, created, form, rested, sent

AS_BOB = {"X-API-Key": "key-b"}
NONE = {"X-API-Key": ""}


async def test_a_result_set_is_answered_in_the_shape_clients_know_and_delivered(
    client: Client, storage: MemoryStorage
) -> None:
    here = (await created(client, memory_path_prefix="%COLLECTION_NAME%/%DATE%/%RESULT_SET_ID%"))["id"]
    off = (await created(client, enabled=False))["id"]
    collection = await collected(client, here, off)
    files = {"a.txt": b"hello", "b.bin": b"\r\n" * 5, "empty": b""}
    times = {"started_at": "2026-01-31T12:00:00+02:00", "ended_at": "2026-01-31T23:30:00-02:00"}
    response = await client.post(f"{collection}/results", data=form(files, **times))
    answer = await response.json()
    assert response.status == 200
    assert answer["request_info"] == {"success": True}
    assert answer["collection_id"] == collection.rpartition("/")[2]
    assert answer["result"]["id"] == 1
    result = await rested(client, collection)
    assert (result["started_at"], result["ended_at"]) == ("2026-01-31T10:00:00.000Z", "2026-02-01T01:30:00.000Z")
    assert result["expires_at"] > result["ended_at"]
    assert result["files"] == [
        {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in files.items()
    ]
    assert result["download_links"] == {"pages": [f"{collection}/results/1/files/{name}" for name in files]}
    done = result["destination_status"][here]
    assert (done["status"], done["files_total"], done["files_done"], done["bytes_done"]) == ("success", 3, 3, 15)
    assert (done["attempts"], done["next_attempt_at"], done["code"]) == (1, None, None)
    assert result["destination_status"][off]["status"] == "skipped"
    assert result["webhook_status"] is None
    assert storage.buckets["bucket"] == {f"Reports/2026_02_01/1/{name}": content for name, content in files.items()}


async def test_result_sets_are_numbered_and_listed_newest_first(client: Client) -> None:
    collection = await collected(client)
    for number in range(1, 13):
        assert (await sent(client, collection, {"a": b""}))["id"] == number
    first = await (await client.get(f"{collection}/results")).json()
    assert [one["id"] for one in first["results"]] == list(range(12, 2, -1))
    assert (first["results_count"], first["collection_id"]) == (12, collection.rpartition("/")[2])
    rest = await (await client.get(f"{collection}/results?page=2")).json()
    assert ([one["id"] for one in rest["results"]], rest["results_count"]) == ([2, 1], 12)
    one = await (await client.get(f"{collection}/results/12")).json()
    assert one["result"].pop("files") == [{"name": "a", "size": 0, "sha256": hashlib.sha256().hexdigest()}]
    assert one["result"] == first["results"][0]
    wrong = await client.get(f"{collection}/results?page=0&page_size=101")
    assert (wrong.status, set((await wrong.json())["errors"])) == (400, {"page", "page_size"})


async def test_a_collection_says_how_many_it_had_and_which_is_next(client: Client) -> None:
    collection = await collected(client)
    other = await collected(client)
    for _ in range(2):
        await sent(client, collection, {"a": b""})
    for path, count in ((collection, 2), (other, 0)):
        for shown in (
            (await (await client.get(path)).json())["collection"],
            (await (await client.put(path, json={"name": "Renamed"})).json())["collection"],
        ):
            assert (shown["results_count"], shown["next_result_set_id"]) == (count, count + 1)
    listed = (await (await client.get("/collections")).json())["collections"]
    assert [one["results_count"] for one in listed] == [2, 0]


@pytest.mark.parametrize(
    ("files", "fields", "wrong"),
    [
        ({}, {}, {"files"}),
        ({}, {"files": "no file"}, {"files"}),
        ({"": b"x"}, {}, {"files"}),
        ({"..": b"x"}, {}, {"files"}),
        ({"a/b": b"x"}, {}, {"files"}),
        ({"/a": b"x"}, {}, {"files"}),
        ({"a\\b": b"x"}, {}, {"files"}),
        ({"a\u2215\uff0fb": b"x"}, {}, {"files"}),
        ({"a\u0085b": b"x"}, {}, {"files"}),
        ({"a" * (NAME_BYTES + 1): b"x"}, {}, {"files"}),
        ({"caf\u00e9": b"x", "cafe\u0301": b"y"}, {}, {"files"}),
        ({"a": b"x"}, {"started_at": "yesterday", "ended_at": "x"}, {"started_at", "ended_at"}),
        ({"a": b"x"}, {"started_at": "2026-01-02", "ended_at": "2026-01-01"}, {"started_at"}),
        ({"a": b"x"}, {"ended_at": "x" * 1025}, {"ended_at"}),
        ({"a": b"x"}, {"unknown": "a\u0000b"}, {"unknown"}),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_kept(
    client: Client, incoming: Any, files: dict[str, bytes], fields: dict[str, str], wrong: set[str]
) -> None:
    collection = await collected(client)
    response = await client.post(f"{collection}/results", data=form(files, **fields, other="ignored"))
    answer = await response.json()
    assert (response.status, answer["request_info"]["code"]) == (400, "invalid_request")
    assert set(answer["errors"]) == wrong
    assert (await (await client.get(f"{collection}/results")).json())["results"] == []
    assert [*incoming.iterdir(), *(incoming.parent / "kept").iterdir()] == []


async def test_fields_may_stand_before_or_behind_the_files_but_only_once(client: Client) -> None:
    collection = await collected(client)
    for first, last in (("started_at", "ended_at"), ("ended_at", "started_at")):
        data = form({}, **{first: "2026-01-01T00:00:00Z"})
        data.add_field("x", b"content", filename="a")
        data.add_field(last, "2026-01-01T00:00:00Z")
        answer = await (await client.post(f"{collection}/results", data=data)).json()
        assert answer["result"]["started_at"] == answer["result"]["ended_at"] == "2026-01-01T00:00:00.000Z"
    data = form({"a": b""}, ended_at="2026-01-01T00:00:00Z")
    data.add_field("ended_at", "2026-01-01T00:00:00Z")
    twice = await client.post(f"{collection}/results", data=data)
    assert (twice.status, (await twice.json())["errors"]) == (400, {"ended_at": ["is given more than once"]})


async def test_a_file_may_stand_in_a_field_of_any_name(client: Client) -> None:
    """Also of one that is known otherwise, or in none that is its own."""
    collection = await collected(client)
    data = form({"a": b""})
    data.add_field("ended_at", b"no time", filename="b")
    data.add_field("_charset_", b"no charset", filename="c", content_type="multipart/mixed; boundary=x")
    answer = await (await client.post(f"{collection}/results", data=data)).json()
    assert [one["name"] for one in answer["result"]["files"]] == ["a", "b", "c"]


async def test_the_manifests_name_is_its_own(client: Client) -> None:
    collection = await collected(client, manifest=True)
    response = await client.post(f"{collection}/results", data=form({"_manifest.json": b""}))
    assert (response.status, list((await response.json())["errors"])) == (400, ["files"])


@pytest.mark.parametrize("number", ["0", "2", "-1", "+1", "1.0", "x", "9" * 30, "%31%00", "\u0661"])
async def test_a_number_that_none_has_is_an_ordinary_404(client: Client, number: str) -> None:
    collection = await collected(client)
    await sent(client, collection, {"a": b""})
    response = await client.get(f"{collection}/results/{number}")
    assert (response.status, (await response.json())["request_info"]["code"]) == (404, "not_found")


ROUTES = [
    ("POST", "/results"),
    ("GET", "/results"),
    ("GET", "/results/1"),
    ("POST", "/results/1/resend"),
    ("POST", "/results/1/webhook/resend"),
    ("GET", "/results/1/events"),
    ("GET", "/results/1/files/a"),
    ("HEAD", "/results/1/files/a"),
]


@pytest.mark.parametrize(("method", "route"), ROUTES)
async def test_what_is_another_accounts_does_not_exist(client: Client, method: str, route: str) -> None:
    collection = await collected(client)
    await sent(client, collection, {"a": b"content"})
    for key, status in ((AS_BOB, 404), (NONE, 401)):
        answers = []
        for path in (collection, "/collections/FFFFFFFF"):
            data = form({"a": b""}) if (method, route) == ROUTES[0] else None
            response = await client.request(method, path + route, data=data, headers=key)
            answers.append((response.status, await response.read()))
        assert answers[0] == answers[1]
        assert answers[0][0] == status
    assert len((await (await client.get(f"{collection}/results")).json())["results"]) == 1


async def test_a_result_set_goes_where_the_collection_says_when_it_is_complete(
    client: Client, storage: MemoryStorage
) -> None:
    storage.buckets["other"] = {}
    first, second = [(await created(client, memory_bucket_name=name))["id"] for name in ("bucket", "other")]
    collection = await collected(client, first)
    await sent(client, collection, {"a": b""})
    await client.put(collection, json={"destination_ids": [second]})
    await sent(client, collection, {"a": b""})
    assert set((await rested(client, collection, 1))["destination_status"]) == {first}
    assert set((await rested(client, collection, 2))["destination_status"]) == {second}


async def test_resent_is_what_was_asked_for_or_all(client: Client, storage: MemoryStorage) -> None:
    """All are the destinations of the collection by now, and those that the result set was meant for."""
    storage.buckets |= {"second": {}, "third": {}}
    ids = {name: (await created(client, memory_bucket_name=name))["id"] for name in ("bucket", "second", "third")}
    collection = await collected(client, ids["bucket"])
    await sent(client, collection, {"a": b"content"})
    await rested(client, collection)

    async def resent(**sending: Any) -> set[str]:
        for objects in storage.buckets.values():
            objects.clear()
        response = await client.post(f"{collection}/results/1/resend", **sending)
        assert response.status == 200, await response.text()
        assert (await response.json())["result"]["id"] == 1
        await rested(client, collection)
        return {name for name, objects in storage.buckets.items() if objects == {"a": b"content"}}

    assert await resent() == {"bucket"}
    assert await resent(json={"destination_ids": [ids["second"]]}) == {"second"}
    await client.put(collection, json={"destination_ids": [ids["third"]]})
    assert await resent(json={}) == {"bucket", "second", "third"}
    assert await resent(data={"destination_ids": f"{ids['bucket']}, {ids['third']}"}) == {"bucket", "third"}
    await client.delete(f"/destinations/{ids['second']}")
    assert await resent(json={"destination_ids": None}) == {"bucket", "third"}


@pytest.mark.parametrize("ids", [["FFFFFFFF"], "FFFFFFFF", 5, [5], [], ""])
async def test_resending_to_what_does_not_exist_is_refused_as_a_whole(client: Client, ids: Any) -> None:
    here = (await created(client))["id"]
    collection = await collected(client, here)
    await sent(client, collection, {"a": b""})
    before = await rested(client, collection)
    given = [*ids, here] if ids == ["FFFFFFFF"] else ids
    response = await client.post(f"{collection}/results/1/resend", json={"destination_ids": given})
    assert (response.status, set((await response.json())["errors"])) == (400, {"destination_ids"})
    assert await rested(client, collection) == before


@pytest.mark.parametrize("form_", [False, True])
async def test_a_flood_of_unknown_destinations_gets_a_short_answer(client: Client, form_: bool) -> None:
    collection = await collected(client)
    await sent(client, collection, {"a": b""})
    for count, named in ((100, 20), (101, 1), (30_000, 1)):
        ids = [f"{number:08X}" for number in range(count)]
        given: dict[str, Any] = (
            {"data": {"destination_ids": ",".join(ids)}} if form_ else {"json": {"destination_ids": ids}}
        )
        response = await client.post(f"{collection}/results/1/resend", **given)
        errors = (await response.json())["errors"]["destination_ids"]
        assert (response.status, len(errors)) == (400, named)


async def test_anothers_destination_is_one_that_does_not_exist(client: Client) -> None:
    theirs = await (
        await client.post(
            "/destinations",
            json={"name": "x", "enabled": False, "type": "memory", "memory_secret": "x", "memory_bucket_name": "x"},
            headers=AS_BOB,
        )
    ).json()
    id_ = theirs["destination"]["id"]
    collection = await collected(client)
    await sent(client, collection, {"a": b""})
    path = f"{collection}/results/1/resend"
    real = await client.post(path, json={"destination_ids": [id_]})
    none = await client.post(path, json={"destination_ids": ["0" * 8]})
    assert real.status == 400
    assert (await real.text()).replace(id_, "0" * 8) == await none.text()


async def test_a_webhooks_message_is_sent_again_if_there_was_one(client: Client) -> None:
    """Nobody listens at that address: it is the message's log that tells."""
    quiet = await collected(client)
    await sent(client, quiet, {"a": b""})
    assert (await client.post(f"{quiet}/results/1/webhook/resend")).status == 404
    told = await collected(client, notification_webhook="http://127.0.0.1:1024/hook")
    await sent(client, told, {"a": b""})
    assert (await rested(client, told))["webhook_status"]["status"] in ("pending", "retrying")
    response = await client.post(f"{told}/results/1/webhook/resend")
    answer = await response.json()
    assert (response.status, answer["collection_id"]) == (200, told.rpartition("/")[2])
    log = [entry["text"] for entry in answer["result"]["webhook_status"]["log"]]
    assert "Sending again was asked for." in log


async def test_a_deleted_collections_result_sets_are_gone(client: Client, incoming: Any) -> None:
    collection = await collected(client)
    await sent(client, collection, {"a": b""})
    await client.delete(collection)
    assert (await client.get(f"{collection}/results")).status == 404
    assert (await client.get(f"{collection}/results/1")).status == 404
    assert [*(incoming.parent / "kept").iterdir()] == []
