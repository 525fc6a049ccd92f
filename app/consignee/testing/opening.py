"""Opening, in a test, what the service opens: one bucket, as it does, or all of it in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from aiohttp.abc import AbstractResolver

from consignee.catalog import Catalog
from consignee.destination import Draft
from consignee.events import OnEvent
from consignee.opening import open_destinations
from consignee.outlets import open_outlets, policy
from consignee.providers import Bucket, Provider
from consignee.providers.memory import MemoryStorage
from consignee.secret import Secret
from consignee.service import Destinations
from consignee.settings import EgressSettings, ProviderSettings, SecretsSettings, Settings
from consignee.store import Store
from consignee.store.memory import MemoryStore
from consignee.transport import Parts

Fields = Mapping[str, Any]
COMMON: Final[dict[str, Any]] = {"name": "Mine", "enabled": True}
"""What every destination needs beside the fields of its type."""
_ENDED: Final = frozenset({"success", "failed", "skipped"})
_LOOK_SECONDS: Final = 0.01


def loopback(*, ca: Path | None = None, allow_names: Sequence[str] = (), **endpoints: str) -> Settings:
    """Settings that allow 127.0.0.1 to customers, http too; `endpoints` are the operator's own by destination type."""
    egress = EgressSettings(
        allow=("127.0.0.1/32:*",), allow_http=True, allow_names=tuple(allow_names), ca_file=str(ca or "")
    )
    return Settings(egress=egress, providers={name: ProviderSettings(url) for name, url in endpoints.items()})


def draft_of(provider: Provider, fields: Fields, settings: Settings) -> Draft:
    """Return the fields, checked; raises InvalidDestination."""
    return Catalog([provider], policy(settings.egress)).parse({**COMMON, "type": provider.type, **fields})


@asynccontextmanager
async def opened(
    provider: Provider,
    fields: Fields,
    settings: Settings,
    *,
    found: Mapping[str, str] | None = None,
    resolver: AbstractResolver | None = None,
    parts: Parts | None = None,
) -> AsyncIterator[Bucket]:
    """Yield the open bucket of a destination with these fields; `parts` says how large bodies are sent."""
    async with open_outlets(settings, resolver=resolver) as outlets:
        draft = draft_of(provider, fields, settings)
        transport = outlets.transport(provider)
        transport.parts = parts or transport.parts
        async with provider.open(draft, found or {}, transport) as bucket:
            yield bucket


@asynccontextmanager
async def open_in_memory(
    storage: MemoryStorage, *, store: Store | None = None, on_event: OnEvent | None = None
) -> AsyncIterator[Destinations]:
    """Yield the service with that storage as its only destination type; nothing of it is on a disk but a temporary spool.

    A `store` that is given must be open, and stays open.
    """
    settings = replace(Settings(), secrets=SecretsSettings(key=Secret("00" * 32)))
    own = MemoryStore()
    await own.open()
    async with open_destinations(
        settings, store=store or own, providers=[storage.provider], on_event=on_event
    ) as destinations:
        yield destinations
    await own.close()


async def ended(
    destinations: Destinations, account: str, collection_id: str, number: int = 1, *, within: float = 10.0
) -> dict[str, str]:
    """Return how each delivery of a result set has ended, by destination; raises TimeoutError after so many seconds."""
    async with asyncio.timeout(within):
        while True:
            view = await destinations.dispatch.view(account, collection_id, number)
            statuses = {id_: str(one["status"]) for id_, one in view["destination_status"].items()}
            if _ENDED.issuperset(statuses.values()):
                return statuses
            await asyncio.sleep(_LOOK_SECONDS)
