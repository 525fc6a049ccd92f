"""Documents that were forged, with the right checksums: the store sees nothing wrong, and yet their secrets serve nobody."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consignee.settings import Settings
from consignee.store.record import encode_record, parse_record

from .conftest import Client, Start

KEYS = {"ann": "key-a", "bob": "key-b"}
Line = dict[str, Any]


def fields(account: str) -> dict[str, Any]:
    """Return the fields of a destination that is not tested, for it is disabled."""
    return {
        "name": "Mine",
        "enabled": False,
        "type": "s3",
        "s3_bucket_name": f"bucket-of-{account}",
        "s3_access_key_id": f"AKIACANARY{account.upper()}",
        "s3_secret_access_key": f"canary-secret-of-{account}",
    }


def forge(file: Path, change: Callable[[Line, Line], None]) -> None:
    """Change the documents of the two lines of a store's file, and give each line the checksum that it should have."""
    header, *lines = file.read_bytes().splitlines(keepends=True)
    one, other = (json.loads(line) for line in lines)
    change(one, other)
    forged = [encode_record(*(each[name] for name in ("account", "id", "revision", "data"))) for each in (one, other)]
    assert [parse_record(line).id for line in forged] == [one["id"], other["id"]]
    file.write_bytes(b"".join((header, *forged)))


def swap_all(one: Line, other: Line) -> None:
    """Swap all that is sealed in two documents."""
    one["data"]["secrets"], other["data"]["secrets"] = other["data"]["secrets"], one["data"]["secrets"]


def swap_one(one: Line, other: Line) -> None:
    """Swap the same field of two documents."""
    mine, others = one["data"]["secrets"], other["data"]["secrets"]
    name = "s3_secret_access_key"
    mine[name], others[name] = others[name], mine[name]


def swap_fields(one: Line, other: Line) -> None:
    """Swap two fields within each document."""
    names = ("s3_access_key_id", "s3_secret_access_key")
    for secrets in (one["data"]["secrets"], other["data"]["secrets"]):
        secrets |= dict(zip(names, [secrets[name] for name in reversed(names)], strict=True))


def swap_accounts(one: Line, other: Line) -> None:
    """Say that each belongs to the other's account."""
    one["account"], other["account"] = other["account"], one["account"]


def swap_ids(one: Line, other: Line) -> None:
    """Swap two documents as a whole but for their accounts."""
    one["id"], other["id"] = other["id"], one["id"]


def raise_revisions(one: Line, other: Line) -> None:
    """Say that they are later revisions than they are."""
    one["revision"] += 1
    other["revision"] += 1


CHANGES = [swap_all, swap_one, swap_fields, swap_accounts, swap_ids, raise_revisions]


async def create(client: Client, account: str) -> str:
    """Create the destination of an account, and return its id."""
    response = await client.post("/destinations", json=fields(account), headers={"X-API-Key": KEYS[account]})
    return str((await response.json())["destination"]["id"])


async def made_then_forged(start: Start, settings: Settings, change: Callable[[Line, Line], None]) -> dict[str, str]:
    """Return the ids of two destinations, by account, whose documents were forged while nothing ran."""
    client = await start()
    made = {account: await create(client, account) for account in KEYS}
    await client.close()
    forge(Path(settings.store.path) / "destinations.jsonl", change)
    return made


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_forged_is_refused_and_tells_nothing(
    start: Start, settings: Settings, caplog: pytest.LogCaptureFixture, change: Callable[[Line, Line], None]
) -> None:
    """Not listed, shown, tested or changed: the answers say nothing, the log says which document it is."""
    made = await made_then_forged(start, settings, change)
    client = await start()
    requests: list[tuple[str, str, Any]] = [("GET", "/destinations", None)]
    for id_ in made.values():
        place = f"/destinations/{id_}"
        requests += [("GET", place, None), ("POST", f"{place}/test", None), ("PUT", place, {"name": "Other"})]
    for key in KEYS.values():
        statuses = [await refused(client, *request, key=key) for request in requests]
        assert sorted(statuses) == [404] * 3 + [503] * 4
        assert statuses[0] == 503
    assert "was altered or belongs elsewhere" in caplog.text
    assert "canary" not in caplog.text.lower()


async def refused(client: Client, method: str, path: str, content: Any, *, key: str) -> int:
    """Return the status of a request that must not succeed, nor tell anything."""
    response = await client.request(method, path, json=content, headers={"X-API-Key": key})
    text = await response.text()
    assert "canary" not in text.lower()
    assert json.loads(text)["request_info"]["code"] == {404: "not_found", 503: "unavailable"}[response.status]
    return response.status


async def test_what_was_not_forged_is_shown_as_before(start: Start, settings: Settings) -> None:
    """Writing the lines anew, as above, is not what is noticed."""
    made = await made_then_forged(start, settings, lambda one, other: None)
    client = await start()
    for account, key in KEYS.items():
        response = await client.get(f"/destinations/{made[account]}", headers={"X-API-Key": key})
        assert (await response.json())["destination"]["s3_bucket_name"] == f"bucket-of-{account}"
