"""Large files by obstore, in as many parts at once as we send, and as large ones; its own choice is 5 MiB and 12 at once."""

import asyncio
import os
import sys
from pathlib import Path

import obstore
from obstore.store import S3Store

from large_file import KEY, SECRET
from measuring import measured


async def main(url: str, ca_file: str, count: int, small: Path, large: Path) -> None:
    store = S3Store(
        "bucket",
        endpoint=url,
        region="us-east-1",
        access_key_id=KEY,
        secret_access_key=SECRET,
        unsigned_payload=True,
        client_options={"allow_http": True, "root_certificate": Path(ca_file).read_bytes()},
    )

    async def put(file: Path, number: int) -> None:
        await obstore.put_async(
            store, f"obstore/{number}", file, use_multipart=True, chunk_size=16 * 1024 * 1024, max_concurrency=4
        )

    await put(small, 0)
    with measured() as meter:
        await asyncio.gather(*(put(large, number) for number in range(count)))
    meter.report(count * large.stat().st_size / 1e9)


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), Path(sys.argv[5])))
sys.stdout.flush()
os._exit(0)  # its threads now and then abort an interpreter that ends in the usual way
