"""The routes around destinations, and what every answer has in common."""

import pytest

from consignee.web.keys import DESTINATIONS, DRAINING

from .conftest import Client, Start, created


async def test_the_account_says_what_is_used_and_what_may_be(client: Client) -> None:
    await created(client)
    answer = await (await client.get("/account")).json()
    assert answer == {
        "request_info": {"success": True},
        "account_info": {
            "destinations_used": 1,
            "destinations_limit": 50,
            "destinations_available": 49,
            "collections_used": 0,
            "collections_limit": 50,
            "collections_available": 50,
        },
    }


async def test_the_types_describe_their_fields(client: Client) -> None:
    types = (await (await client.get("/destination-types")).json())["destination_types"]
    assert [one["type"] for one in types] == ["azure", "gcs", "oss", "s3", "s3compatible", "memory"]
    fields = {field["name"]: field for field in types[4]["fields"]}
    assert set(fields) == {
        "name",
        "enabled",
        "s3_access_key_id",
        "s3_secret_access_key",
        "s3_bucket_name",
        "s3_path_prefix",
        "s3_endpoint",
        "s3_region",
        "s3_addressing_style",
    }
    described = {"name", "label", "required", "secret", "help", "choices", "multiline", "unless"}
    assert all(set(field) == described for field in fields.values())
    secrets = [name for name, field in fields.items() if field["secret"]]
    assert secrets == ["s3_access_key_id", "s3_secret_access_key"]
    assert [choice["value"] for choice in fields["s3_addressing_style"]["choices"]] == ["path", "virtual", "auto"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("PATCH", "/destinations"),
        ("DELETE", "/destinations"),
        ("GET", "/destinations/verify/more"),
        ("POST", "/account"),
        ("POST", "/destinations/"),
        ("TRACE", "/destinations"),
    ],
)
async def test_an_unknown_route_and_a_wrong_verb_are_both_404(client: Client, method: str, path: str) -> None:
    response = await client.request(method, path)
    answer = await response.json()
    assert (response.status, answer["request_info"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/healthz", "/account", "/nowhere", "/destinations?page=0"])
async def test_every_answer_carries_the_same_headers(client: Client, path: str) -> None:
    response = await client.get(path)
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert len(response.headers["X-Trace-ID"]) == 32
    assert response.headers["Server"] == "consignee"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_a_balancer_may_ask_with_head_whether_it_is_well(client: Client, path: str) -> None:
    response = await client.head(path)
    assert (response.status, await response.read()) == (200, b"")
    assert response.headers["X-Trace-ID"]


async def test_it_is_not_ready_while_it_stops(client: Client) -> None:
    assert client.app is not None
    client.app[DRAINING].set()
    response = await client.get("/readyz")
    assert (response.status, (await response.json())["request_info"]["code"]) == (503, "unavailable")
    assert response.headers["Retry-After"]
    assert (await client.get("/healthz")).status == 200


async def test_it_is_not_ready_without_its_store(start: Start) -> None:
    client = await start()
    assert client.app is not None
    await client.app[DESTINATIONS].store.close()
    assert (await client.get("/readyz")).status == 503
    response = await client.post(
        "/destinations",
        json={"type": "memory", "name": "x", "enabled": False, "memory_secret": "x", "memory_bucket_name": "x"},
    )
    answer = await response.json()
    assert (response.status, answer["request_info"]["code"]) == (503, "unavailable")
    assert response.headers["Retry-After"]


async def test_a_destination_has_its_policy(client: Client) -> None:
    fields = {"type": "s3", "name": "x", "enabled": False, "s3_access_key_id": "k", "s3_secret_access_key": "s"}
    made = await created(client, **fields, s3_bucket_name="my-bucket", s3_path_prefix="exports/%DATE%")
    answer = await (await client.get(f"/destinations/{made['id']}/policy")).json()
    assert answer["request_info"] == {"success": True}
    assert answer["policy"]["Statement"][0]["Resource"] == "arn:aws:s3:::my-bucket/exports/*"
    other = await client.get(f"/destinations/{made['id']}/policy", headers={"X-API-Key": "key-b"})
    assert other.status == 404
