"""Small objects through oss2, Alibaba's older client, in threads."""

from functools import partial

import oss2

from small_puts import AT_ONCE, BUCKET, CONTENT, KEY_ID, SECRET, asked, put_all_in_threads


def put(bucket: oss2.Bucket, key: str) -> None:
    """Write one object."""
    bucket.put_object(key, CONTENT)


def main() -> None:
    """Make a client with a pool that is large enough, and measure it."""
    _, url, count, _ = asked()
    oss2.defaults.connection_pool_size = max(AT_ONCE)
    bucket = oss2.Bucket(
        oss2.AuthV4(KEY_ID, SECRET),
        url,
        BUCKET,
        region="cn-hangzhou",
        is_path_style=True,
        enable_crc=False,
    )
    put_all_in_threads(partial(put, bucket), count)


if __name__ == "__main__":
    main()
