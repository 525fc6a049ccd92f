"""Upload and delete through obstore, a Rust client with an asyncio face."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectivity import CONTENT, Test, measure


async def main(url: str, round_trip_ms: float) -> None:
    """Measure it."""
    from obstore.store import S3Store

    @asynccontextmanager
    async def opened() -> AsyncIterator[Test]:
        store = S3Store(
            "bucket",
            endpoint=url,
            region="us-east-1",
            access_key_id="bench",
            secret_access_key="bench-bench-bench",
            virtual_hosted_style_request=False,
            unsigned_payload=True,
        )

        async def test(number: int) -> None:
            await store.put_async(f"obstore-{number}", CONTENT, use_multipart=False)
            await store.delete_async(f"obstore-{number}")

        yield test

    await measure(opened, round_trip_ms)


os.environ["SSL_CERT_FILE"] = sys.argv[2]
asyncio.run(main(sys.argv[1], float(sys.argv[3])))
sys.stdout.flush()
os._exit(0)  # its threads abort an interpreter now and then that ends in the usual way
