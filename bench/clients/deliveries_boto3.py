"""The same files with boto3's `put_object` in threads, as a script of one's own would: nothing durable, no retries."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config

from measuring import measured


def main(url: str, source: Path, at_once: int) -> None:
    paths = [path for folder in sorted(source.iterdir()) for path in sorted(folder.iterdir())]
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench-bench-bench",
        config=Config(
            max_pool_connections=at_once,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        ),
    )

    def put(path: Path) -> None:
        client.put_object(Bucket="bucket", Key=f"boto3/{path.parent.name}/{path.name}", Body=path.read_bytes())

    put(paths[0])
    with measured() as meter, ThreadPoolExecutor(at_once) as threads:
        list(threads.map(put, paths))
    meter.report(len(paths))


main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
