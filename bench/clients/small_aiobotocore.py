"""Small objects through aiobotocore's put_object."""

from functools import partial
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from small_puts import AT_ONCE, BUCKET, CONTENT, KEY_ID, REGION, SECRET, asked, put_all, run


async def put(client: Any, key: str) -> None:
    """Write one object."""
    await client.put_object(Bucket=BUCKET, Key=key, Body=CONTENT)


async def main() -> None:
    """Make a client with a pool that is large enough, and measure it."""
    _, url, count, ca_file = asked()
    config = AioConfig(
        max_pool_connections=max(AT_ONCE),
        retries={"max_attempts": 0},
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    async with get_session().create_client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        verify=ca_file or None,
        config=config,
    ) as client:
        await put_all(partial(put, client), count)


if __name__ == "__main__":
    run(main())
