"""Large files by boto3's `upload_file`, with parts of the size of ours, as many at once, and no checksums of its own."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from large_file import KEY, SECRET
from measuring import measured

SIZE = 16 * 1024 * 1024


def main(url: str, ca_file: str, count: int, small: Path, large: Path) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=url,
        verify=ca_file,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(
            max_pool_connections=4 * count,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path", "payload_signing_enabled": False},
        ),
    )
    tuned = TransferConfig(multipart_threshold=SIZE, multipart_chunksize=SIZE, max_concurrency=4, io_chunksize=1 << 20)

    def put(file: Path, number: int) -> None:
        client.upload_file(str(file), "bucket", f"boto3/{number}", Config=tuned)

    put(small, 0)
    with measured() as meter, ThreadPoolExecutor(count) as threads:
        list(threads.map(put, [large] * count, range(count)))
    meter.report(count * large.stat().st_size / 1e9)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5]))
