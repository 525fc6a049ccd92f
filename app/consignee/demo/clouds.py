"""One storage server for each destination type, as far as this machine can run it; all of them check signatures."""

import base64
import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from consignee.demo.azurite import running_azurite
from consignee.demo.faults import Faults, running_faults
from consignee.demo.storage import StorageServer, running_storage
from consignee.errors import ConsigneeError

USER: Final = "demo:writer"
SECRET: Final = "a+secret/of+the+demo"
BUCKET: Final = "demo-bucket"
OTHER_BUCKET: Final = "other-bucket"
ACCOUNT: Final = "demoaccount"
ACCOUNT_KEY: Final = base64.b64encode(b"a key of the demonstration, no more").decode()


@dataclass(frozen=True)
class Bucket:
    """What lies in a bucket, as its server itself says."""

    name: str
    keys: Callable[[], Awaitable[list[str]]]
    read: Callable[[str], Awaitable[bytes]]


@dataclass
class Clouds:
    """The S3 server of the tour; by type the fields of a destination, the operator's endpoint for it, and its bucket.

    The one of type s3compatible is reached through `faults`.
    """

    storage: StorageServer
    faults: Faults
    buckets: dict[str, Bucket] = field(default_factory=dict)
    fields: dict[str, Mapping[str, str]] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def running_clouds() -> AsyncIterator[Clouds]:
    """Start them all; what can't be run here is `missing`, with the reason."""
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(running_storage({USER: SECRET}))
        clouds = Clouds(storage, await stack.enter_async_context(running_faults(storage.url)))
        await _add_s3(clouds)
        await _add_gcs(clouds, stack)
        for type_, add in (("oss", _add_oss), ("azure", _add_azure)):
            try:
                await add(clouds, stack)
            except ConsigneeError as error:
                clouds.missing[type_] = str(error)
        yield clouds


async def _bucket(server: StorageServer, name: str) -> Bucket:
    await server.create_bucket(USER, name)
    return Bucket(name, partial(server.keys, USER, name), partial(server.read, USER, name))


async def _add_s3(clouds: Clouds) -> None:
    keys = {"s3_access_key_id": USER, "s3_secret_access_key": SECRET}
    clouds.buckets["s3"] = await _bucket(clouds.storage, BUCKET)
    clouds.buckets["s3compatible"] = await _bucket(clouds.storage, OTHER_BUCKET)
    clouds.fields["s3"] = {**keys, "s3_bucket_name": BUCKET}
    clouds.fields["s3compatible"] = {**keys, "s3_bucket_name": OTHER_BUCKET, "s3_endpoint": clouds.faults.url}
    clouds.endpoints["s3"] = clouds.storage.url


async def _add_gcs(clouds: Clouds, stack: AsyncExitStack) -> None:
    """Google's HMAC keys sign as for S3, in the region `auto`."""
    server = await stack.enter_async_context(running_storage({USER: SECRET}, region="auto"))
    clouds.buckets["gcs"] = await _bucket(server, BUCKET)
    clouds.fields["gcs"] = {"gcs_access_key": USER, "gcs_secret_key": SECRET, "gcs_bucket_name": BUCKET}
    clouds.endpoints["gcs"] = server.url


async def _add_oss(clouds: Clouds, stack: AsyncExitStack) -> None:
    """No server for OSS can be installed: this one is the strict fake of our own tests, where they are at hand."""
    try:
        fake, access = (importlib.import_module(f"fakes.{name}") for name in ("oss", "oss_access"))
    except ModuleNotFoundError:
        raise ConsigneeError("the OSS server is a part of the tests: use make demo, in a clone") from None
    users, buckets = {"demo-writer": access.User(SECRET)}, {BUCKET: "cn-hangzhou"}
    server = await stack.enter_async_context(fake.oss_server(users, buckets, path_style=True))
    keys = {"oss_access_key": "demo-writer", "oss_secret_key": SECRET}
    clouds.fields["oss"] = {**keys, "oss_bucket_name": BUCKET, "oss_region_id": "oss-cn-hangzhou"}
    clouds.endpoints["oss"] = server.url
    objects: dict[str, bytes] = server.objects.setdefault(BUCKET, {})

    async def keys_in() -> list[str]:
        return sorted(objects)

    async def read(key: str) -> bytes:
        return objects[key]

    clouds.buckets["oss"] = Bucket(BUCKET, keys_in, read)


async def _add_azure(clouds: Clouds, stack: AsyncExitStack) -> None:
    directory = Path(sys.prefix) / "azurite"
    server = await stack.enter_async_context(running_azurite({ACCOUNT: ACCOUNT_KEY}, directory=directory))
    await server.create_container(ACCOUNT, BUCKET)
    container = ACCOUNT, BUCKET
    clouds.buckets["azure"] = Bucket(BUCKET, partial(server.blobs, *container), partial(server.read, *container))
    keys = {"azure_account_name": ACCOUNT, "azure_account_key": ACCOUNT_KEY}
    clouds.fields["azure"] = {**keys, "azure_container_name": BUCKET}
    clouds.endpoints["azure"] = f"{server.url}/{{account}}"
