"""A connectivity test as it runs, of what is not saved, and of what a change would make of what is."""

import json
import socket
from typing import Any

import pytest

from .conftest import FIELDS, Client, created

LINES = {"Accept": "application/x-ndjson"}
S3 = {"type": "s3", "s3_bucket_name": "reports", "s3_path_prefix": "exports/%DATE%"}


async def lines(client: Client, path: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of a test that has begun."""
    response = await client.post(path, json=fields, headers=LINES)
    assert response.status == 200
    assert response.content_type == "application/x-ndjson"
    return [json.loads(line) for line in (await response.text()).splitlines()]


async def last_test(client: Client, path: str) -> Any:
    """Return what is remembered of the last test of a destination."""
    return (await (await client.get(path)).json())["destination"]["last_test"]


async def test_each_step_is_told_when_it_begins_and_then_the_report(client: Client) -> None:
    *begun, last = await lines(client, "/destinations/test", FIELDS)
    assert begun == [{"under_way": "upload"}, {"under_way": "delete"}]
    assert (last["ok"], last["code"], last["message"]) == (True, None, "")
    assert [step["step"] for step in last["connectivity"]["steps"]] == ["upload", "delete"]


async def test_a_failure_is_the_last_line_and_says_what_an_ordinary_answer_would(client: Client) -> None:
    fields = {**FIELDS, "memory_bucket_name": "no-such-bucket"}
    *begun, last = await lines(client, "/destinations/test", fields)
    assert begun == [{"under_way": "upload"}]
    answer = await (await client.post("/destinations/test", json=fields)).json()
    assert (last["ok"], last["code"]) == (False, "bucket_not_found")
    assert last["message"] == answer["request_info"]["message"]
    assert last["connectivity"]["steps"][0]["hint"] == answer["connectivity"]["steps"][0]["hint"]


async def test_waiting_for_a_connection_is_told(client: Client) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        own = {
            "s3_access_key_id": "a",
            "s3_secret_access_key": "b",
            "s3_bucket_name": "bucket",
            "s3_endpoint": endpoint,
        }
        *begun, last = await lines(
            client, "/destinations/test", {"name": "x", "enabled": True, "type": "s3compatible", **own}
        )
    assert begun == [{"under_way": "upload"}, {"under_way": "connect"}]
    assert (last["code"], last["connectivity"]["steps"][-1]["step"]) == ("endpoint_unreachable", "connect")


async def test_wrong_fields_are_an_ordinary_400(client: Client) -> None:
    response = await client.post("/destinations/test", json={**FIELDS, "name": ""}, headers=LINES)
    assert response.status == 400
    assert (await response.json())["errors"].keys() == {"name"}


async def test_a_saved_one_is_tested_step_by_step_and_remembered(client: Client) -> None:
    path = f"/destinations/{(await created(client, enabled=False))['id']}"
    assert await last_test(client, path) is None
    *begun, last = await lines(client, f"{path}/test", {})
    assert begun == [{"under_way": "upload"}, {"under_way": "delete"}]
    assert (await last_test(client, path))["connectivity"] == last["connectivity"]


@pytest.mark.parametrize("headers", [{}, LINES])
async def test_a_change_is_tested_without_being_made(client: Client, headers: dict[str, str]) -> None:
    """The secret that is left out is the saved one, and the outcome is not that of what is saved."""
    path = f"/destinations/{(await created(client))['id']}"
    before = await (await client.get(path)).json()
    response = await client.post(f"{path}/test", json={"memory_bucket_name": "no-such-bucket"}, headers=headers)
    assert response.status == (200 if headers else 400)
    assert '"bucket_not_found"' in await response.text()
    assert (await client.post(f"{path}/test", json={"memory_path_prefix": "a/b"}, headers=headers)).status == 200
    assert await (await client.get(path)).json() == before


async def test_what_would_change_nothing_is_the_test_of_what_is_saved(client: Client) -> None:
    """So clients that send fields which nobody knows get what they always got."""
    path = f"/destinations/{(await created(client, enabled=False))['id']}"
    fields = {"source": "a client", "memory_bucket_name": "bucket", "memory_secret": ""}
    assert (await client.post(f"{path}/test", json=fields)).status == 200
    assert (await last_test(client, path))["ok"]


async def test_a_change_that_is_wrong_is_refused_before_any_test(client: Client) -> None:
    path = f"/destinations/{(await created(client))['id']}"
    response = await client.post(f"{path}/test", json={"memory_path_prefix": "../x"}, headers=LINES)
    assert response.status == 400
    assert (await response.json())["errors"].keys() == {"memory_path_prefix"}


async def test_the_policy_is_there_before_the_credentials_are(client: Client) -> None:
    response = await client.post("/destinations/policy", json=S3)
    (statement,) = (await response.json())["policy"]["Statement"]
    assert statement["Resource"] == "arn:aws:s3:::reports/exports/*"
    own = {"s3_access_key_id": "a", "s3_secret_access_key": "b", "name": "Mine", "enabled": "false"}
    saved = (await (await client.post("/destinations", json={**S3, **own})).json())["destination"]
    again = await client.get(f"/destinations/{saved['id']}/policy")
    assert (await again.json())["policy"] == (await response.json())["policy"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"type": "s3"}, {"s3_bucket_name"}),
        ({**S3, "s3_bucket_name": "No"}, {"s3_bucket_name"}),
        ({**S3, "s3_path_prefix": "%NO%", "s3_access_key_id": 1, "name": 2}, {"s3_path_prefix"}),
        ({"type": "nope"}, {"type"}),
        ({}, {"type"}),
    ],
)
async def test_what_the_policy_needs_is_checked_and_nothing_else(
    client: Client, fields: dict[str, Any], wrong: set[str]
) -> None:
    response = await client.post("/destinations/policy", json=fields)
    assert response.status == 400
    assert (await response.json())["errors"].keys() == wrong


async def test_a_type_without_policies_has_none_before_either(client: Client) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != "memory_secret"}
    assert (await client.post("/destinations/policy", json=fields)).status == 404
