"""Small objects through boto3 in threads."""

from functools import partial
from typing import Any

import boto3
from botocore.config import Config

from small_puts import AT_ONCE, BUCKET, CONTENT, KEY_ID, REGION, SECRET, asked, put_all_in_threads


def put(client: Any, key: str) -> None:
    """Write one object."""
    client.put_object(Bucket=BUCKET, Key=key, Body=CONTENT)


def main() -> None:
    """Make a client with a pool that is large enough, and measure it."""
    _, url, count, ca_file = asked()
    config = Config(
        max_pool_connections=max(AT_ONCE),
        retries={"max_attempts": 0},
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        verify=ca_file or None,
        config=config,
    )
    put_all_in_threads(partial(put, client), count)


if __name__ == "__main__":
    main()
