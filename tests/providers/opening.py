"""Opening a bucket as the service does: fields checked by the catalog, requests through the guarded sessions."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp.abc import AbstractResolver

from canaries import COMPATIBLE_SECRET
from consignee.catalog import Catalog
from consignee.destination import Draft
from consignee.outlets import open_outlets, policy
from consignee.providers import Bucket, Provider
from consignee.settings import EgressSettings, ProviderSettings, Settings
from consignee.transport import Parts

Fields = Mapping[str, Any]
COMMON: Final[dict[str, Any]] = {"name": "Mine", "enabled": True}
S3_FIELDS: Final[dict[str, Any]] = COMMON | {
    "type": "s3",
    "s3_access_key_id": "test:tester",
    "s3_secret_access_key": COMPATIBLE_SECRET,
    "s3_bucket_name": "demo-bucket",
}


def loopback(*, ca: Path | None = None, **endpoints: str) -> Settings:
    """Settings that allow 127.0.0.1 to customers, http too; `endpoints` are the operator's own by destination type."""
    egress = EgressSettings(
        allow=("127.0.0.1/32:*",),
        allow_http=True,
        allow_names=("s3.localhost",),
        ca_file=str(ca or ""),
    )
    return Settings(egress=egress, providers={name: ProviderSettings(url) for name, url in endpoints.items()})


def draft_of(provider: Provider, fields: Fields, settings: Settings) -> Draft:
    """Return the checked fields."""
    return Catalog([provider], policy(settings.egress)).parse(fields)


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
