"""Large files from the spool by our own buckets, opened as the service opens them: with its settings' defaults."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from consignee.body import FileBody
from consignee.catalog import Catalog
from consignee.delivery.spool import Spool, SpooledFile
from consignee.outlets import open_outlets, policy
from consignee.providers import discover
from consignee.providers.base import Bucket, Checkpoint
from consignee.sections import EgressSettings, ProviderSettings
from consignee.settings import Settings
from large_file import KEY, SECRET, Spooled
from measuring import measured

FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "s3": {"s3_access_key_id": KEY, "s3_secret_access_key": SECRET, "s3_bucket_name": "bucket"},
    "azure": {"azure_account_name": "account", "azure_account_key": SECRET, "azure_container_name": "bucket"},
    "oss": {
        "oss_access_key": KEY,
        "oss_secret_key": SECRET,
        "oss_bucket_name": "bucket",
        "oss_region_id": "oss-cn-hangzhou",
    },
}


async def put_all(bucket: Bucket, body: FileBody, count: int) -> None:
    """Upload it so often, at once."""
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(bucket.put(f"ours/{number}", body, Checkpoint()))


async def main(kind: str, url: str, ca_file: str, count: int, directory: Path, *sources: Path) -> None:
    egress = EgressSettings(allow_http=True, ca_file=ca_file)
    settings = replace(Settings(), egress=egress, providers={kind: ProviderSettings(url)})
    provider = discover()[kind]
    fields = {"type": kind, "name": "Sink", "enabled": True, **FIELDS[kind]}
    draft = Catalog([provider], policy(egress)).parse(fields)
    spool, taken = Spool(directory), map(Spooled.of, sources)
    small, large = (spool.body(one.token, 0, SpooledFile.from_data(one.file)) for one in taken)
    async with open_outlets(settings) as outlets, provider.open(draft, {}, outlets.transport(provider)) as bucket:
        await put_all(bucket, small, 1)
        with measured() as meter:
            await put_all(bucket, large, count)
        meter.report(count * large.length / 1e9)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *map(Path, sys.argv[5:])))
