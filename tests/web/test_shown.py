"""Answers that are encoded once: the same bytes as if they were made each time, never those of yesterday, and not too many."""

import json
from collections.abc import AsyncIterator
from sys import getsizeof
from typing import Any

import pytest

from consignee import Destinations, open_destinations
from consignee.destination import Destination
from consignee.errors import NotFound, StoreError
from consignee.listing import Listing
from consignee.providers import Provider
from consignee.settings import Settings
from consignee.web.answers import encode
from consignee.web.shown import Answers

from .conftest import FIELDS, Client, Start, collected, created


@pytest.fixture
async def destinations(settings: Settings, providers: list[Provider]) -> AsyncIterator[Destinations]:
    """The service without HTTP."""
    async with open_destinations(settings, providers=providers) as opened:
        yield opened


async def body(client: Client, path: str) -> bytes:
    """Return the body of the answer."""
    async with client.get(path) as response:
        assert response.status == 200
        return await response.read()


async def listed(client: Client, path: str = "/destinations") -> list[dict[str, Any]]:
    """Return the destinations of a list."""
    found: list[dict[str, Any]] = json.loads(await body(client, path))["destinations"]
    return found


async def test_what_is_put_together_is_what_would_be_encoded_as_a_whole(client: Client) -> None:
    """Also a second time, when it lies ready, and for names that have to be escaped."""
    made = [await created(client, name=name) for name in ('"quoted" \\ %d', "ümlaut", "plain")]
    await collected(client, made[0]["id"])
    for path in ("/destinations", f"/destinations/{made[0]['id']}", "/destinations?page_size=2&sort_by=name"):
        first = await body(client, path)
        assert first == encode(json.loads(first))
        assert await body(client, path) == first
    assert [one["used_by"] for one in await listed(client)] == [1, 0, 0]
    assert (await listed(client))[1:] == made[1:]


async def test_a_change_shows_at_once(client: Client) -> None:
    """Of the destination itself, of another of the account, and of a collection that names it."""
    made = await created(client)
    path = f"/destinations/{made['id']}"
    assert [one["name"] for one in await listed(client)] == ["Mine"]
    await client.put(path, json={"name": "Other"})
    assert [one["name"] for one in await listed(client)] == ["Other"]
    assert json.loads(await body(client, path))["usage"]["used"] == 1
    second = await created(client)
    assert json.loads(await body(client, path))["usage"]["used"] == 2
    collection = await collected(client, made["id"])
    assert json.loads(await body(client, path))["destination"]["used_by"] == 1
    await client.delete(collection)
    assert json.loads(await body(client, path))["destination"]["used_by"] == 0
    await client.delete(f"/destinations/{second['id']}")
    assert [one["id"] for one in await listed(client)] == [made["id"]]
    await client.delete(path)
    assert (await client.get(path)).status == 404
    assert await listed(client) == []


async def test_a_condition_that_changes_shows_at_once(destinations: Destinations) -> None:
    answers, made = Answers(destinations), await destinations.create("ann", FIELDS)
    assert json.loads(await answers.one("ann", made.id))["destination"]["deliveries"]["log"] == []
    await destinations.dispatch.conditions._set(
        "ann", made.id, destinations.dispatch.conditions.of("ann", made.id).with_entry(0, "It failed.")
    )
    (entry,) = json.loads(await answers.one("ann", made.id))["destination"]["deliveries"]["log"]
    assert entry["text"] == "It failed."


async def test_what_lies_ready_for_one_account_is_not_there_for_another(start: Start) -> None:
    client = await start(key=None)
    answer = await (await client.post("/destinations?api_key=key-a", json=FIELDS)).json()
    path = f"/destinations/{answer['destination']['id']}"
    assert await body(client, f"{path}?api_key=key-a")
    assert len(await listed(client, "/destinations?api_key=key-a")) == 1
    assert (await client.get(f"{path}?api_key=key-b")).status == 404
    assert await listed(client, "/destinations?api_key=key-b") == []


@pytest.mark.parametrize("most", [0, 3_000, 30_000, 10**6])
async def test_no_more_is_kept_than_may_be(destinations: Destinations, most: int) -> None:
    """Whatever may be kept, what is answered is the same."""
    answers = Answers(destinations, most_bytes=most)
    for account in ("a", "b", "c"):
        made = [await destinations.create(account, {**FIELDS, "enabled": False}) for _ in range(5)]
        for _ in range(2):
            for size in (1, 5):
                page = json.loads(await answers.page(account, Listing(page_size=size)))
                assert [one["id"] for one in page["destinations"]] == [one.id for one in made[:size]]
            assert json.loads(await answers.one(account, made[3].id))["destination"]["id"] == made[3].id
            assert answers.size <= most
    assert (answers.size > 0) == (most > 0)


async def test_what_is_asked_for_is_counted_too(destinations: Destinations) -> None:
    """A list that was searched for a long text is kept together with the text, which may take far more than the answer."""
    answers, long = Answers(destinations), "\N{GRINNING FACE}" + "x" * 7_000
    await answers.page("ann", Listing())
    before = answers.size
    await answers.page("ann", Listing(search_term=long, type=long))
    assert answers.size - before > 2 * getsizeof(long)


async def test_what_is_deleted_is_not_kept(destinations: Destinations) -> None:
    answers, made = Answers(destinations), await destinations.create("ann", {**FIELDS, "enabled": False})
    await answers.page("ann", Listing())
    assert answers.size > 0
    await destinations.delete("ann", made.id)
    assert answers.size == 0
    with pytest.raises(NotFound):
        await answers.one("ann", made.id)


async def test_what_takes_the_place_of_what_was_deleted_shows_at_once(destinations: Destinations) -> None:
    """Also where somebody else who is told of the end could not do his part."""

    async def fail(_: Destination) -> None:
        raise StoreError("the disk is full")

    destinations.deleted.append(fail)
    answers, made = Answers(destinations), await destinations.create("ann", {**FIELDS, "enabled": False})
    await answers.page("ann", Listing())
    with pytest.raises(StoreError):
        await destinations.delete("ann", made.id)
    await destinations.create("ann", {**FIELDS, "name": "Other", "enabled": False}, id=made.id)
    (shown,) = json.loads(await answers.page("ann", Listing()))["destinations"]
    assert shown["name"] == "Other"


async def test_what_is_removed_while_a_list_is_made_is_left_out(
    destinations: Destinations, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, made = Answers(destinations), await destinations.create("ann", {**FIELDS, "enabled": False})
    known = await destinations.store.revisions("destinations", "ann")

    async def revisions(kind: str, account: str) -> dict[str, int]:
        return {**known, "GONE": 1}

    monkeypatch.setattr(destinations.store, "revisions", revisions)
    page = json.loads(await answers.page("ann", Listing()))
    assert [one["id"] for one in page["destinations"]] == [made.id]
