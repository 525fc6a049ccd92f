"""A large file by azure-storage-blob, in blocks of the size of our parts, as many at once; `aio` or in threads."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient
from azure.storage.blob.aio import BlobServiceClient as AioBlobServiceClient

from large_file import SECRET
from measuring import measured

SIZE = 16 * 1024 * 1024


def options(url: str, ca_file: str) -> dict[str, Any]:
    """Return what both kinds of client take."""
    sizes = {"max_block_size": SIZE, "max_single_put_size": SIZE, "retry_total": 0, "connection_verify": ca_file}
    return {"account_url": f"{url}/account", "credential": {"account_name": "account", "account_key": SECRET}, **sizes}


def put_in_threads(url: str, ca_file: str, small: Path, large: Path) -> None:
    """Upload with the SDK's own threads."""
    with BlobServiceClient(**options(url, ca_file)) as service:

        def put(file: Path) -> None:
            with file.open("rb") as data:
                service.get_blob_client("bucket", "azure").upload_blob(
                    data, length=file.stat().st_size, overwrite=True, max_concurrency=4
                )

        put(small)
        with measured() as meter:
            put(large)
        meter.report(large.stat().st_size / 1e9)


async def put_on_the_loop(url: str, ca_file: str, small: Path, large: Path) -> None:
    """Upload with the asynchronous client."""
    async with AioBlobServiceClient(**options(url, ca_file)) as service:

        async def put(file: Path) -> None:
            with file.open("rb") as data:
                await service.get_blob_client("bucket", "azure").upload_blob(
                    data, length=file.stat().st_size, overwrite=True, max_concurrency=4
                )

        await put(small)
        with measured() as meter:
            await put(large)
        meter.report(large.stat().st_size / 1e9)


if sys.argv[1] == "aio":
    asyncio.run(put_on_the_loop(sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5])))
else:
    put_in_threads(sys.argv[2], sys.argv[3], Path(sys.argv[4]), Path(sys.argv[5]))
