"""A service on a store of its own and a storage in memory, and its client."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pytest_aiohttp.plugin import AiohttpServer

from canaries import API_KEY, write_sealing_key
from consignee.client import Client
from consignee.providers import discover
from consignee.providers.memory import MemoryStorage
from consignee.secret import Secret
from consignee.settings import AccountsSettings, EgressSettings, FixedAccount, SecretsSettings, Settings, StoreSettings
from consignee.web import create_app


@dataclass(frozen=True)
class Service:
    """A running service, and where it delivers to."""

    url: str
    storage: MemoryStorage


@pytest.fixture
async def service(tmp_path: Path, aiohttp_server: AiohttpServer) -> Service:
    """A service with one account."""
    storage = MemoryStorage("bucket")
    settings = replace(
        Settings(),
        store=StoreSettings(path=str(tmp_path / "store")),
        secrets=SecretsSettings(key_file=str(write_sealing_key(tmp_path / "key" / "secret.key"))),
        accounts=AccountsSettings(fixed=(FixedAccount("ann", Secret(API_KEY)),)),
        egress=EgressSettings(allow=("127.0.0.1/32:*",), allow_http=True),
    )
    app = create_app(settings, providers=[*discover().values(), storage.provider])
    server = await aiohttp_server(app)
    return Service(str(server.make_url("/")).rstrip("/"), storage)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    """Its client."""
    async with Client(service.url, API_KEY) as made:
        yield made
