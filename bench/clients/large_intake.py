"""Takes files into a spool, as the service does when they arrive; reports what that costs."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from consignee.body import CHUNK_BYTES
from consignee.delivery.spool import Spool
from large_file import Spooled
from measuring import measured


async def chunks(path: Path) -> AsyncIterator[bytes]:
    """Yield the file in pieces."""
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            yield piece


async def main(directory: Path, *sources: Path) -> None:
    spool = Spool(directory)
    await spool.open()
    with measured() as meter:
        for source in sources:
            async with spool.intake() as intake:
                file = await intake.add(source.name, chunks(source))
                Spooled(await intake.keep(), file.to_data()).note(source)
    await spool.close()
    meter.report(sum(source.stat().st_size for source in sources) / 1e9)


asyncio.run(main(*map(Path, sys.argv[1:])))
