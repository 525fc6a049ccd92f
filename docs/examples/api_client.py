"""A program of yours that talks to a service over HTTP: it registers a destination, and hands files over."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from consignee.client import ApiError, Client


async def rows() -> AsyncIterator[bytes]:
    """Yield a file that is made as it is sent."""
    for number in range(1000):
        yield f"{number},{number * number}\n".encode()


async def register(client: Client, name: str, fields: dict[str, object]) -> str | None:
    """Return the id of a destination that works, or None."""
    try:
        destination = await client.destinations.create({"name": name, "enabled": True, **fields})
    except ApiError as error:
        print(f"{error.code}: {error}")
        for field, problems in error.errors.items():
            print(f"  {field}: {', '.join(problems)}")
        for step in error.connectivity.steps if error.connectivity else ():
            print(f"  {step.step}: {step.hint or 'ok'}")
        return None
    return destination.id


async def deliver(client: Client, destination_id: str, report: Path) -> bool:
    """Hand over two files, and return whether they arrived."""
    collection = await client.collections.create("Daily figures", destination_ids=[destination_id])
    result = await client.results.upload(collection.id, {report.name: report, "squares.csv": rows()})
    async for progress in client.results.events(collection.id, result.id):
        for id_, status in progress.destination_status.items():
            print(f"{id_}: {status.status}, {status.files_done} of {status.files_total} files")
    return all(status.status == "success" for status in progress.destination_status.values())


async def main(url: str, api_key: str, fields: dict[str, object], report: Path) -> bool:
    """Return whether everything went well."""
    async with Client(url, api_key) as client:
        destination_id = await register(client, "Reports", fields)
        return destination_id is not None and await deliver(client, destination_id, report)


if __name__ == "__main__":
    bucket = {"type": "s3", "s3_bucket_name": "my-bucket"}
    keys = {"s3_access_key_id": os.environ["S3_KEY"], "s3_secret_access_key": os.environ["S3_SECRET"]}
    asyncio.run(main(sys.argv[1], os.environ["API_KEY"], {**bucket, **keys}, Path(sys.argv[2])))
