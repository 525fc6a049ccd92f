"""Small objects through azure-storage-blob, its asyncio side."""

from functools import partial

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import ContainerClient

from small_puts import ACCOUNT, ACCOUNT_KEY, BUCKET, CONTENT, asked, put_all, run


async def put(container: ContainerClient, key: str) -> None:
    """Write one object."""
    await container.upload_blob(key, CONTENT, length=len(CONTENT), overwrite=True)


async def main() -> None:
    """Make a client with a pool that is large enough, and measure it."""
    _, url, count, _ = asked()
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
    async with (
        session,
        ContainerClient(
            f"{url}/{ACCOUNT}",
            BUCKET,
            credential={"account_name": ACCOUNT, "account_key": ACCOUNT_KEY},
            transport=AioHttpTransport(session=session, session_owner=False),
            retry_total=0,
        ) as container,
    ):
        await put_all(partial(put, container), count)


if __name__ == "__main__":
    run(main())
