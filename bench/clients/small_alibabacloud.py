"""Small objects through alibabacloud-oss-v2, Alibaba's newer client, its asyncio side."""

from functools import partial

import alibabacloud_oss_v2 as oss
import alibabacloud_oss_v2.aio as oss_aio

from small_puts import BUCKET, CONTENT, KEY_ID, SECRET, asked, put_all, run


async def put(client: oss_aio.AsyncClient, key: str) -> None:
    """Write one object."""
    await client.put_object(oss.PutObjectRequest(bucket=BUCKET, key=key, body=CONTENT))


async def main() -> None:
    """Make a client, and measure it."""
    _, url, count, _ = asked()
    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider(KEY_ID, SECRET)
    config.region, config.endpoint, config.use_path_style = "cn-hangzhou", url, True
    config.retry_max_attempts, config.disable_upload_crc64_check = 1, True
    async with oss_aio.AsyncClient(config) as client:
        await put_all(partial(put, client), count)


if __name__ == "__main__":
    run(main())
