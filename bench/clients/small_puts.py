"""What all clients of small uploads do: the same content under new keys, 1, 16 and 64 at once, in one warm process."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from measuring import Meter, measured, spread

CONTENT: Final = bytes(range(256)) * 4
AT_ONCE: Final = (1, 16, 64)
MAIN: Final = 16
"""The one of these that the sample's own figures are of; those of the others are named."""
KEY_ID, SECRET, BUCKET, REGION = "AKIABENCHBENCHBENCH0", "bench+secret/of+the+bench", "bucket", "us-east-1"
ACCOUNT, ACCOUNT_KEY = "account", "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2g="
BOTO_CONFIG: Final[Mapping[str, Any]] = {
    "max_pool_connections": max(AT_ONCE),
    "retries": {"max_attempts": 0},
    "s3": {"addressing_style": "path"},
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
"""A pool that is large enough, and nothing that consignee does not do either."""
Put = Callable[[str], Awaitable[object]]
BlockingPut = Callable[[str], object]


def asked() -> tuple[str, str, int, str]:
    """Return the kind of storage, its URL, how many objects to write, and the file of its authority or nothing."""
    kind, url, count, ca_file = sys.argv[1:5]
    return kind, url, int(count), ca_file


def boto_options(url: str, ca_file: str) -> dict[str, Any]:
    """Return how to make a client of boto's kind."""
    keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET}
    return {"service_name": "s3", "endpoint_url": url, "region_name": REGION, "verify": ca_file or None, **keys}


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a client's coroutine: in uvloop if the last argument says so."""
    if sys.argv[-1] == "uvloop":
        import uvloop

        uvloop.run(main)
    else:
        asyncio.run(main)


async def put_all(put: Put, count: int) -> None:
    """Measure `put`, and report."""
    meters = {}
    for at_once in AT_ONCE:
        folder, warming = os.urandom(4).hex(), os.urandom(4).hex()
        await spread(at_once, at_once, partial(_put_in, put, warming))
        with measured() as meters[at_once]:
            await spread(count, at_once, partial(_put_in, put, folder))
    report(meters, count)


async def _put_in(put: Put, folder: str, number: int) -> None:
    await put(f"{folder}/{number}")


def put_all_in_threads(put: BlockingPut, count: int) -> None:
    """Measure a `put` that blocks, in as many threads as there are to be at once, and report."""
    token = os.urandom(4).hex()
    meters = {}
    for at_once in AT_ONCE:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(put, [f"{token}/{at_once}/warm-{number}" for number in range(at_once)]))
            with measured() as meters[at_once]:
                list(pool.map(put, [f"{token}/{at_once}/{number}" for number in range(count)]))
    report(meters, count)


def report(meters: dict[int, Meter], count: int) -> None:
    """Print the sample."""
    more = {}
    for at_once, meter in meters.items():
        if at_once != MAIN:
            more[rate_at(at_once)] = count / meter.seconds
            more[cpu_at(at_once)] = meter.cpu / count * 1000
    meters[MAIN].report(count, **more)


def rate_at(at_once: int) -> str:
    """Return the name of the rate."""
    return "rate" if at_once == MAIN else f"objects/s, {at_once} at once"


def cpu_at(at_once: int) -> str:
    """Return the name of the CPU time of an object; in milliseconds, but for the sample's own."""
    return "cpu" if at_once == MAIN else f"CPU ms, {at_once} at once"
