"""Small objects through aiobotocore's put_object."""

from functools import partial
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from small_puts import BOTO_CONFIG, BUCKET, CONTENT, asked, boto_options, put_all, run


async def put(client: Any, key: str) -> None:
    """Write one object."""
    await client.put_object(Bucket=BUCKET, Key=key, Body=CONTENT)


async def main() -> None:
    """Make a client with a pool that is large enough, and measure it."""
    _, url, count, ca_file = asked()
    config = AioConfig(**BOTO_CONFIG)
    async with get_session().create_client(**boto_options(url, ca_file), config=config) as client:
        await put_all(partial(put, client), count)


if __name__ == "__main__":
    run(main())
