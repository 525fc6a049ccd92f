"""The service over HTTP, on a store of its own and a storage in memory."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

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
        secrets=SecretsSettings(key_file=str(tmp_path / "key" / "secret.key")),
        accounts=AccountsSettings(fixed=(FixedAccount("ann", Secret("key-a")), FixedAccount("bob", Secret("key-b")))),
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

    async def started(settings: Settings = settings, *, key: str | None = "key-a") -> Client:
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
