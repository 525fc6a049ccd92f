"""Whose a request is."""

import pytest

from .conftest import Client, Start

UNAUTHORIZED = {
    "request_info": {"success": False, "code": "unauthorized", "message": "The API key is missing or unknown."}
}
PRIVATE = [
    ("GET", "/destinations"),
    ("POST", "/destinations"),
    ("POST", "/destination"),
    ("POST", "/destinations/test"),
    ("POST", "/destinations/verify"),
    ("GET", "/destinations/00000000"),
    ("PUT", "/destinations/00000000"),
    ("DELETE", "/destinations/00000000"),
    ("POST", "/destinations/00000000/test"),
    ("GET", "/destination-types"),
    ("GET", "/account"),
]


@pytest.fixture
async def nobody(start: Start) -> Client:
    """A client without a key."""
    return await start(key=None)


@pytest.mark.parametrize("query", ["", "?api_key=", "?api_key=wrong", "?api_key=key-A", "?api_key=%C3%BC"])
@pytest.mark.parametrize(("method", "path"), PRIVATE)
async def test_without_a_known_key_every_route_says_the_same(
    nobody: Client, method: str, path: str, query: str
) -> None:
    response = await nobody.request(method, path + query)
    assert (response.status, await response.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?api_key=key-a", {}),
        ("?api_key=key-a&api_key=key-a", {}),
        ("", {"X-API-Key": "key-a"}),
        ("", {"Authorization": "Bearer key-a"}),
        ("", {"Authorization": "bearer  key-a"}),
        ("?api_key=key-a", {"Authorization": "Bearer key-a", "X-API-Key": "key-a"}),
        ("?api_key=key-a", {"Authorization": "Basic eDp5"}),
    ],
)
async def test_the_key_may_come_in_several_ways(nobody: Client, query: str, headers: dict[str, str]) -> None:
    assert (await nobody.get(f"/account{query}", headers=headers)).status == 200


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?api_key=key-a&api_key=key-b", {}),
        ("?api_key=key-a", {"X-API-Key": "key-b"}),
        ("?api_key=key-a", {"Authorization": "Bearer key-b"}),
        ("", {"Authorization": "Bearer key-a", "X-API-Key": "key-b"}),
    ],
)
async def test_keys_that_differ_are_refused(nobody: Client, query: str, headers: dict[str, str]) -> None:
    response = await nobody.get(f"/account{query}", headers=headers)
    text = await response.text()
    assert response.status == 400
    assert list((await response.json())["errors"]) == ["api_key"]
    assert "key-a" not in text
    assert "key-b" not in text


async def test_health_needs_no_key(nobody: Client) -> None:
    for path in ("/healthz", "/readyz"):
        response = await nobody.get(path)
        assert (response.status, await response.json()) == (200, {"request_info": {"success": True}})
