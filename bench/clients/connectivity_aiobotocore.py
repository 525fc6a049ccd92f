"""Upload and delete through aiobotocore; cold is a new client of one session, which knows the service's model already."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from connectivity import CONTENT, CROWD, Test, measure


async def main(url: str, ca_file: str, round_trip_ms: float) -> None:
    """Measure it."""
    session = get_session()
    config = AioConfig(
        max_pool_connections=CROWD,
        retries={"max_attempts": 0},
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )

    @asynccontextmanager
    async def opened() -> AsyncIterator[Test]:
        async with session.create_client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="bench",
            aws_secret_access_key="bench-bench-bench",
            verify=ca_file,
            config=config,
        ) as client:

            async def test(number: int) -> None:
                await client.put_object(Bucket="bucket", Key=f"aiobotocore-{number}", Body=CONTENT)
                await client.delete_object(Bucket="bucket", Key=f"aiobotocore-{number}")

            yield test

    await measure(opened, round_trip_ms)


asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
