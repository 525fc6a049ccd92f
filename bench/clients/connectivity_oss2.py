"""Upload and delete through oss2, Alibaba's older client, in threads; cold is a new session."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import oss2

from connectivity import CONTENT, CROWD, Test, measure


async def main(url: str, round_trip_ms: float) -> None:
    """Measure it."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(CROWD))
    auth = oss2.AuthV4("bench", "bench-bench-bench")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Test]:
        session = oss2.Session(pool_size=CROWD)
        bucket = oss2.Bucket(
            auth, url, "bucket", session=session, region="eu-central-1", is_path_style=True, enable_crc=False
        )

        def put_and_delete(number: int) -> None:
            bucket.put_object(f"oss2-{number}", CONTENT)
            bucket.delete_object(f"oss2-{number}")

        yield lambda number: asyncio.to_thread(put_and_delete, number)

    await measure(opened, round_trip_ms)


os.environ["REQUESTS_CA_BUNDLE"] = sys.argv[2]
asyncio.run(main(sys.argv[1], float(sys.argv[3])))
