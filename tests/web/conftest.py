"""The service over HTTP, on a store of its own and a storage in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientResponse, FormData
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from canaries import API_KEY, write_sealing_key
from consignee.providers import Provider, discover
from consignee.providers.memory import MemoryStorage
from consignee.secret import Secret
from consignee.settings import (
    AccountsSettings,
    EgressSettings,
    FixedAccount,
    SecretsSettings,
    Settings,
    StoreSettings,
)
from consignee.web import create_app

Client = TestClient[Any, Any]
Start = Callable[..., Awaitable[Client]]

ACCOUNTS = tuple(
    FixedAccount(name, Secret(key)) for name, key in (("ann", API_KEY), ("ann", "key-a"), ("bob", "key-b"))
)
FIELDS = {
    "name": "Mine",
    "enabled": True,
    "type": "memory",
    "memory_secret": "memory-secret",
    "memory_bucket_name": "bucket",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A store of its own, and two accounts."""
    return replace(
        Settings(),
        store=StoreSettings(path=str(tmp_path / "store")),
        secrets=SecretsSettings(key_file=str(write_sealing_key(tmp_path / "key" / "secret.key"))),
        accounts=AccountsSettings(fixed=ACCOUNTS),
        egress=EgressSettings(allow=("127.0.0.1/32:*",), allow_http=True),
    )


@pytest.fixture
def storage() -> MemoryStorage:
    """A storage with one bucket."""
    return MemoryStorage("bucket")


@pytest.fixture
def providers(storage: MemoryStorage) -> list[Provider]:
    """The built-in types and the one in memory."""
    return [*discover().values(), storage.provider]


@pytest.fixture
def start(aiohttp_client: AiohttpClient, settings: Settings, providers: list[Provider]) -> Start:
    """Starts the service; its clients send ann's key unless told otherwise."""

    async def started(settings: Settings = settings, *, key: str | None = API_KEY) -> Client:
        headers = {"X-API-Key": key} if key else {}
        return await aiohttp_client(create_app(settings, providers=providers), headers=headers)

    return started


@pytest.fixture
async def client(start: Start) -> Client:
    """The service, as ann."""
    return await start()


async def created(client: Client, **fields: Any) -> dict[str, Any]:
    """Create a destination and return it as answered."""
    response = await client.post("/destinations", json={**FIELDS, **fields})
    answer = await response.json()
    assert response.status == 200, answer
    destination: dict[str, Any] = answer["destination"]
    return destination


async def collected(client: Client, *destination_ids: str, **fields: Any) -> str:
    """Create a collection with these destinations and return its path."""
    fields = {"name": "Reports", "destination_ids": [*destination_ids], **fields}
    answer = await (await client.post("/collections", json=fields)).json()
    return f"/collections/{answer['collection']['id']}"


def form(files: Mapping[str, bytes], /, **fields: str) -> FormData:
    """Return the body of a result set with these files and fields."""
    data = FormData(quote_fields=False, default_to_multipart=True)
    for name, content in files.items():
        data.add_field("file", content, filename=name, content_type="application/octet-stream")
    for field, value in fields.items():
        data.add_field(field, value)
    return data


async def sent(client: Client, collection: str, files: Mapping[str, bytes], **fields: str) -> dict[str, Any]:
    """Send a result set to a collection's path and return it as answered."""
    response = await client.post(f"{collection}/results", data=form(files, **fields))
    answer = await response.json()
    assert response.status == 200, answer
    result: dict[str, Any] = answer["result"]
    return result


async def rested(client: Client, collection: str, number: int = 1) -> dict[str, Any]:
    """Return a result set when none of its deliveries waits to be begun or is under way."""
    async with asyncio.timeout(20):
        while True:
            result: dict[str, Any] = (await (await client.get(f"{collection}/results/{number}")).json())["result"]
            if not {one["status"] for one in result["destination_status"].values()} & {"pending", "uploading"}:
                return result
            await asyncio.sleep(0.01)


async def rest_of(response: ClientResponse) -> tuple[bytes, bool]:
    """Return what is still to come of an answer, and whether that was all of it."""
    text = b""
    try:
        async with asyncio.timeout(20):
            while piece := await response.content.readany():
                text += piece
    except ClientError:
        return text, False
    return text, True


@pytest.fixture
def incoming(settings: Settings) -> Path:
    """Where files lie as long as they are not whole."""
    return Path(settings.store.path) / "spool" / "incoming"
