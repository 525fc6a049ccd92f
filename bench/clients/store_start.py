"""Opens a JSON-file store of `size` documents: SIZE DIRECTORY. What it takes in memory is of 100,000 documents."""

import asyncio
import gc
import sys
from pathlib import Path

from consignee.store.json_file import JsonFileStore
from measuring import measured
from store_documents import KIND


def resident() -> float:
    """Return the memory of this process in MB."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024


async def main(size: int, directory: Path) -> None:
    """Open it."""
    gc.collect()
    before = resident()
    store = JsonFileStore(directory)
    with measured() as meter:
        await store.open()
    taken = resident() - before
    assert await store.count(KIND, "account-0") > 0
    await store.close()
    meter.report(size, seconds=meter.seconds, cpu_seconds=meter.cpu, mb_per_100000=taken * 100_000 / size)


asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
