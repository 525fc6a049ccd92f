"""One storage server for each destination type, as far as this machine can run it; all of them check signatures."""

import base64
import importlib
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consignee.demo.azurite import running_azurite
from consignee.demo.storage import StorageServer, running_storage
from consignee.errors import ConsigneeError

USER: Final = "demo:writer"
SECRET: Final = "a+secret/of+the+demo"
BUCKET: Final = "demo-bucket"
ACCOUNT: Final = "demoaccount"
ACCOUNT_KEY: Final = base64.b64encode(b"a key of the demonstration, no more").decode()


@dataclass
class Clouds:
    """The S3 server of the tour; the fields of a destination for each type, and the operator's endpoint for it."""

    storage: StorageServer
    fields: dict[str, Mapping[str, str]] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@asynccontextmanager
async def running_clouds() -> AsyncIterator[Clouds]:
    """Start them all; what can't be run here is `missing`, with the reason."""
    async with AsyncExitStack() as stack:
        clouds = Clouds(await stack.enter_async_context(running_storage({USER: SECRET})))
        await clouds.storage.create_bucket(USER, BUCKET)
        _add_s3(clouds)
        await _add_gcs(clouds, stack)
        for type_, add in (("oss", _add_oss), ("azure", _add_azure)):
            try:
                await add(clouds, stack)
            except ConsigneeError as error:
                clouds.missing[type_] = str(error)
        yield clouds


def _add_s3(clouds: Clouds) -> None:
    keys = {"s3_access_key_id": USER, "s3_secret_access_key": SECRET, "s3_bucket_name": BUCKET}
    clouds.fields["s3"] = keys
    clouds.fields["s3compatible"] = {**keys, "s3_endpoint": clouds.storage.url}
    clouds.endpoints["s3"] = clouds.storage.url


async def _add_gcs(clouds: Clouds, stack: AsyncExitStack) -> None:
    """Google's HMAC keys sign as for S3, in the region `auto`."""
    server = await stack.enter_async_context(running_storage({USER: SECRET}, region="auto"))
    await server.create_bucket(USER, BUCKET)
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


async def _add_azure(clouds: Clouds, stack: AsyncExitStack) -> None:
    directory = Path(sys.prefix) / "azurite"
    server = await stack.enter_async_context(running_azurite({ACCOUNT: ACCOUNT_KEY}, directory=directory))
    await server.create_container(ACCOUNT, BUCKET)
    keys = {"azure_account_name": ACCOUNT, "azure_account_key": ACCOUNT_KEY}
    clouds.fields["azure"] = {**keys, "azure_container_name": BUCKET}
    clouds.endpoints["azure"] = f"{server.url}/{{account}}"
