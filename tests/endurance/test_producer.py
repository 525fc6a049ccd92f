"""A producer that uploads many result sets at once: what was accepted is delivered."""

import asyncio
import os
import time
from pathlib import Path

import aiohttp

from fakes.chaos_process import chaos_process
from samples.serving import serving

from .service import Api, bucket, memory_of, sha256, write_config

SETS = int(os.environ.get("SETS", "50"))
DESTINATIONS = int(os.environ.get("SERVED", "10"))
FILES = 3


async def test_what_was_accepted_from_a_producer_of_many_result_sets_is_delivered(tmp_path: Path) -> None:
    """`SETS` result sets of three files at once, for `SERVED` destinations."""
    config = write_config(tmp_path)
    expected: dict[str, str] = {}
    with chaos_process("bucket-*", directory=tmp_path) as storage, serving(config, coverage=False) as server:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.timeout(600):
            api = Api(session, server.url)
            ids = [await bucket(api, storage, number) for number in range(DESTINATIONS)]
            collections = [await api.collection(f"of {one}", [one]) for one in ids]

            async def upload(number: int) -> None:
                at = number % DESTINATIONS
                files = {f"{number}-{n}.bin": f"{number} {n}".encode() * 100 for n in range(FILES)}
                result = await api.upload(collections[at], files)
                for name, content in files.items():
                    expected[f"bucket-{at:03d}/exports/{result['id']}/{name}"] = sha256(content)

            began = time.monotonic()
            await asyncio.gather(*map(upload, range(SETS)))
            accepted = time.monotonic() - began
            while len((state := await asyncio.to_thread(storage.state)).objects) < len(expected):
                await asyncio.sleep(0.1)
            delivered = time.monotonic() - began
            peak = memory_of(server.process.pid)
    assert len(expected) == SETS * FILES
    assert {key: state.objects[key].sha256 for key in expected} == expected
    assert all(most <= 4 for most in state.most_at_once.values())
    print(  # noqa: T201
        f"{SETS} result sets of {FILES} files to {DESTINATIONS} destinations: accepted in {accepted:.1f} s "
        f"({SETS / accepted:.0f}/s), delivered in {delivered:.1f} s ({SETS * FILES / delivered:.0f} files/s), "
        f"{state.repeated} repeated, peak memory {peak >> 20} MiB"
    )
