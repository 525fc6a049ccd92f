"""Small objects through an open bucket of consignee: `Bucket.put`, as deliveries do it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from consignee.body import BytesBody
from consignee.catalog import Catalog
from consignee.outlets import open_outlets, policy
from consignee.providers import Bucket, discover
from consignee.sections import EgressSettings, ProviderSettings
from consignee.settings import Settings
from small_puts import ACCOUNT, ACCOUNT_KEY, BUCKET, CONTENT, KEY_ID, SECRET, asked, put_all, run

FIELDS: Final = {
    "s3": {"s3_access_key_id": KEY_ID, "s3_secret_access_key": SECRET, "s3_bucket_name": BUCKET},
    "gcs": {"gcs_access_key": KEY_ID, "gcs_secret_key": SECRET, "gcs_bucket_name": BUCKET},
    "azure": {"azure_account_name": ACCOUNT, "azure_account_key": ACCOUNT_KEY, "azure_container_name": BUCKET},
    "oss": {
        "oss_access_key": KEY_ID,
        "oss_secret_key": SECRET,
        "oss_bucket_name": BUCKET,
        "oss_region_id": "oss-cn-hangzhou",
    },
}


async def put(bucket: Bucket, key: str) -> None:
    """Write one object; its digests are made anew, as for any other content."""
    await bucket.put(key, BytesBody(CONTENT))


@asynccontextmanager
async def opened(kind: str, url: str, ca_file: str = "", **fields: str) -> AsyncIterator[Bucket]:
    """Yield a bucket at an endpoint of the operator's, opened as the service opens it."""
    egress = EgressSettings(allow=("127.0.0.1/32:*", "::1/128:*"), allow_http=True, ca_file=ca_file)
    settings = Settings(egress=egress, providers={kind: ProviderSettings(url)})
    provider = discover()[kind]
    given = {"type": kind, "name": "Bench", "enabled": True, **FIELDS[kind], **fields}
    draft = Catalog([provider], policy(egress)).parse(given)
    async with open_outlets(settings) as outlets, provider.open(draft, {}, outlets.transport(provider)) as bucket:
        yield bucket


async def main() -> None:
    """Open the bucket that is asked for, and measure it."""
    kind, url, count, ca_file = asked()
    async with opened(kind, url, ca_file) as bucket:
        await put_all(partial(put, bucket), count)


if __name__ == "__main__":
    run(main())
