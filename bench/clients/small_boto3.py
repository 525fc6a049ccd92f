"""Small objects through boto3 in threads."""

from functools import partial
from typing import Any

import boto3
from botocore.config import Config

from small_puts import BOTO_CONFIG, BUCKET, CONTENT, asked, boto_options, put_all_in_threads


def put(client: Any, key: str) -> None:
    """Write one object."""
    client.put_object(Bucket=BUCKET, Key=key, Body=CONTENT)


def main() -> None:
    """Make a client with a pool that is large enough, and measure it."""
    _, url, count, ca_file = asked()
    client = boto3.client(**boto_options(url, ca_file), config=Config(**BOTO_CONFIG))
    put_all_in_threads(partial(put, client), count)


if __name__ == "__main__":
    main()
