"""Upload and delete through azure-storage-blob, its asyncio side."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import ContainerClient

from connectivity import CONTENT, Test, measure


async def main(url: str, ca_file: str, round_trip_ms: float) -> None:
    """Measure it."""
    context = ssl.create_default_context(cafile=ca_file)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Test]:
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        async with (
            aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
            ContainerClient(
                f"{url}/bench",
                "bucket",
                credential={"account_name": "bench", "account_key": "YmVuY2g="},
                transport=AioHttpTransport(session=session, session_owner=False),
                connection_verify=context,
                retry_total=0,
            ) as container,
        ):

            async def test(number: int) -> None:
                await container.upload_blob(f"azure-{number}", CONTENT, length=len(CONTENT), overwrite=True)
                await container.delete_blob(f"azure-{number}")

            yield test

    await measure(opened, round_trip_ms)


asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
