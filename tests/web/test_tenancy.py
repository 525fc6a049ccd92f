"""What belongs to another account does not exist: not by its id, in no list, and not by any spelling."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from consignee.sections import LimitsSettings, StoreSettings
from consignee.settings import Settings
from consignee.web.routes import ROUTES

from .conftest import FIELDS, Start, form
from .tenants import MARK, NOWHERE, Ids, Tenants, receiver

HOOK = {"name": "x", "destination_ids": []}
WITH_ID = [(method, path) for method, path, _ in ROUTES if "{" in path]
FLAT = [(method, path) for method, path, _ in ROUTES if "{" not in path]


def body(method: str, path: str) -> dict[str, Any]:
    """Return what is sent to a route with an id, so that it would do something."""
    if (method, path) == ("POST", "/collections/{id}/results"):
        return {"data": form({"a.txt": b"a"})}
    if method == "PUT":
        return {"json": {"name": "changed"}}
    return {"json": {}} if method == "POST" else {}


def naming(ids: Ids) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return for each route without an id in its path all ways to name something in a request to it."""
    nothing: list[dict[str, Any]] = [{}]
    create = {**FIELDS, "id": ids.destination, "account": "ann"}
    return {
        ("POST", "/destinations"): [{"json": create}],
        ("POST", "/destination"): [{"json": create}],
        ("GET", "/destinations"): [
            {"params": {"search_term": text}} for text in (MARK, ids.destination, ids.collection)
        ],
        ("POST", "/destinations/test"): [{"json": create}],
        ("POST", "/destinations/policy"): [{"json": {**create, "type": "s3", "s3_bucket_name": "bucket"}}],
        ("POST", "/destinations/verify"): [
            {"json": {"ids": [ids.destination]}},
            {"data": {"ids": ids.destination}},
            {"json": {"ids": [ids.destination]}, "headers": {"Accept": "application/x-ndjson"}},
            {"json": {"ids": [ids.collection]}},
        ],
        ("POST", "/collections"): [{"json": {**HOOK, "destination_ids": [ids.destination], "id": ids.collection}}],
        ("GET", "/collections"): [{"params": {"id": ids.collection}}],
        ("GET", "/deliveries"): [
            {"params": {"collection_id": ids.collection}},
            {"params": {"destination_id": ids.destination}},
        ],
        ("GET", "/destination-types"): nothing,
        ("GET", "/account"): nothing,
        ("GET", "/healthz"): nothing,
        ("HEAD", "/healthz"): nothing,
        ("GET", "/readyz"): nothing,
        ("HEAD", "/readyz"): nothing,
        ("GET", "/metrics"): nothing,
        ("POST", "/console/login"): [{"json": {"token": ids.destination}}],
        ("GET", "/openapi.json"): nothing,
    }


@pytest.fixture
async def hooks() -> AsyncIterator[str]:
    """Where messages to webhooks go."""
    async with receiver() as url:
        yield url


@pytest.fixture
async def tenants(start: Start, hooks: str) -> Tenants:
    """Ann and bob, with one of everything each."""
    made = Tenants(await start(key=None), hooks)
    await made.settle("ann")
    await made.settle("bob")
    return made


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_anothers_id_is_answered_like_one_that_never_was(tenants: Tenants, method: str, path: str) -> None:
    """Status, headers and body are the same, and nothing happens to what is there; its owner is answered otherwise."""
    ann = tenants.ids["ann"]
    before = await tenants.everything("ann"), await tenants.everything("bob")
    theirs = await tenants.ask("bob", method, ann.path(path), **body(method, path))
    unknown = await tenants.ask("bob", method, NOWHERE.path(path), **body(method, path))
    assert theirs == unknown and theirs.status == 404
    assert (await tenants.everything("ann"), await tenants.everything("bob")) == before
    assert await tenants.ask("ann", method, ann.path(path), **body(method, path)) != unknown


_SPELLED = """
    {}. {}%2e {}%2E%2E {}%00 %00{} {}%20 {}%0a %2e%2e%2F{} ..%2f{} {}%2F.. ./{} {};x=1 {}? {}# {}%EF%BC%8E %EF%BB%BF{}
    {}%CC%81 {}%FF * %25 ann%2F{} %5C{} {}, %22{}%22
"""
_WIDE = {number: number + 0xFEE0 for number in range(48, 91)}
"""The same letters and digits at full width, U+FF10 and so on."""


def spelled(ids: Ids) -> list[Ids]:
    """Return these ids with each in other spellings."""
    lower = replace(ids, destination=ids.destination.lower(), collection=ids.collection.lower())
    wide = [quote(one.translate(_WIDE)) for one in (ids.destination, ids.collection)]
    ways = [lower, replace(ids, destination=wide[0], collection=wide[1])]
    ways.append(replace(ids, destination=ids.collection, collection=ids.destination))
    for spelling in _SPELLED.split():
        first, second = (spelling.format(one) for one in (ids.destination, ids.collection))
        ways.append(replace(ids, destination=first, collection=second))
        ways += [replace(ids, number=spelling.format("1")), replace(ids, file=spelling.format(ids.file))]
    ways += [replace(ids, number=number) for number in ("01", "+1", "-1", "1e0", "%D9%A1", "1_0", "0", "9" * 30)]
    return ways


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_no_spelling_of_anothers_id_tells_it_from_one_that_never_was(
    tenants: Tenants, method: str, path: str
) -> None:
    """Encodings, dots, other cases, other scripts, and ids of the other kind."""
    ann = tenants.ids["ann"]
    before = await tenants.everything("ann"), await tenants.everything("bob")
    ways = zip(spelled(ann), spelled(NOWHERE), strict=True)
    seen = {(own.path(path), other.path(path)) for own, other in ways}
    assert len(seen) > 20
    for own, other in seen:
        theirs = await tenants.ask("bob", method, own, **body(method, path))
        unknown = await tenants.ask("bob", method, other, **body(method, path))
        assert theirs == unknown and theirs.status in (400, 404), own
    assert (await tenants.everything("ann"), await tenants.everything("bob")) == before


@pytest.mark.parametrize(("method", "path"), FLAT)
async def test_naming_what_is_anothers_is_answered_like_naming_what_never_was(
    tenants: Tenants, method: str, path: str
) -> None:
    """In bodies and parameters of every other route; and no answer shows anything of the other's."""
    ann = tenants.ids["ann"]
    before = await tenants.everything("ann")
    for theirs, unknown in zip(naming(ann)[method, path], naming(NOWHERE)[method, path], strict=True):
        one = await tenants.ask("bob", method, path, **theirs)
        other = await tenants.ask("bob", method, path, **unknown)
        # Each create counts: the second has one more. That nothing of ann's is counted is said by the tests of limits below.
        used = {f'"{word}":{n}'.encode(): f'"{word}":n'.encode() for word in ("used", "available") for n in range(51)}
        one, other = (_with(answer.plain(ann, NOWHERE), used) for answer in (one, other))
        assert one == other
        assert MARK.encode() not in one.body.lower()
    assert await tenants.everything("ann") == before


def _with(answer: Any, replaced: dict[bytes, bytes]) -> Any:
    for old, new in sorted(replaced.items(), reverse=True):
        answer = replace(answer, body=answer.body.replace(old, new))
    return answer


@pytest.mark.parametrize("where", ["collection", "resend"])
async def test_anothers_destination_can_not_be_named_in_ones_own(tenants: Tenants, where: str) -> None:
    ann, bob = tenants.ids["ann"], tenants.ids["bob"]
    before = await tenants.everything("ann"), await tenants.everything("bob")
    method, path = {
        "collection": ("PUT", "/collections/{id}"),
        "resend": ("POST", "/collections/{id}/results/{n}/resend"),
    }[where]
    answers = [
        (await tenants.ask("bob", method, bob.path(path), json={"destination_ids": [one]})).plain(ann, NOWHERE)
        for one in (ann.destination, NOWHERE.destination)
    ]
    assert answers[0] == answers[1] and answers[0].status == 400
    assert (await tenants.everything("ann"), await tenants.everything("bob")) == before


@pytest.mark.parametrize(
    "path", ["/destinations", "/collections", "/deliveries", "/account", "/collections/{id}/results"]
)
async def test_no_list_shows_or_counts_what_is_anothers(
    start: Start, settings: Settings, hooks: str, path: str
) -> None:
    """What bob sees is the same whether ann has anything or not."""
    elsewhere = replace(settings, store=StoreSettings(path=f"{settings.store.path}-2"))
    alone, beside = Tenants(await start(key=None), hooks), Tenants(await start(elsewhere, key=None), hooks)
    await beside.settle("ann")
    for tenants in (alone, beside):
        await tenants.settle("bob")
    answers = [
        (await one.ask("bob", "GET", one.ids["bob"].path(path))).plain(one.ids["bob"]) for one in (alone, beside)
    ]
    assert answers[0] == answers[1]


async def test_a_cursor_of_anothers_list_leads_into_ones_own(tenants: Tenants) -> None:
    for account in ("ann", "bob"):
        again = tenants.ids[account].path("/collections/{id}/results")
        await tenants.ask(account, "POST", again, data=form({"b.txt": b"b"}))
    first = json.loads((await tenants.ask("ann", "GET", "/deliveries?page_size=1")).body)
    params = {"cursor": first["next_cursor"], "page_size": "100"}
    listed = json.loads((await tenants.ask("bob", "GET", "/deliveries", params=params)).body)["deliveries"]
    assert {one["collection_id"] for one in listed} <= {tenants.ids["bob"].collection}


@pytest.mark.parametrize(("method", "path"), WITH_ID)
async def test_equal_ids_in_two_accounts_are_two_things(start: Start, hooks: str, method: str, path: str) -> None:
    """Ids are by chance: among many accounts some are the same, and then everybody has his own."""
    tenants = Tenants(await start(key=None), hooks)
    for account in ("ann", "bob"):
        await tenants.settle(account, destination="AAAA0000", collection="CCCC0000")
    ids = tenants.ids["bob"]
    before = await tenants.everything("ann")
    answer = await tenants.ask("bob", method, ids.path(path), **body(method, path))
    assert answer != await tenants.ask("bob", method, NOWHERE.path(path), **body(method, path))
    assert MARK.encode() not in answer.body.lower()
    assert await tenants.everything("ann") == before


async def test_limits_are_each_accounts_own(start: Start, settings: Settings, hooks: str) -> None:
    """When ann has all that she may have, bob has room for as much."""
    limits = LimitsSettings(destinations_per_account=3, collections_per_account=3, idempotency_keys=3)
    tenants = Tenants(await start(replace(settings, limits=limits), key=None), hooks)

    async def fill(account: str) -> list[int]:
        return [
            (await tenants.ask(account, "POST", path, json=fields, headers=headers)).status
            for path, fields in (("/destinations", FIELDS), ("/collections", HOOK))
            for headers in ({}, {}, {"Idempotency-Key": path}, {})
        ]

    assert [await fill(account) for account in ("ann", "bob")] == [[200, 200, 200, 400] * 2] * 2
    used = [json.loads((await tenants.ask(one, "GET", "/account")).body)["account_info"] for one in ("ann", "bob")]
    assert used[0] == used[1] and used[0]["destinations_used"] == 3
