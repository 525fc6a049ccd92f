"""A worker that delivers without HTTP: what other programs put into its outbox goes to the customers.

OUTBOX/ACCOUNT/COLLECTION_ID/NAME is a folder of files, moved there when all of them are in it. It is removed when consignee
has taken the files over; after a `kill -9` in that very moment, they are taken over once more.
"""

import asyncio
import logging
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from consignee import Destinations, load_settings, open_destinations
from consignee.errors import ConsigneeError
from consignee.events import Event

log = logging.getLogger("worker")


async def hand_over(destinations: Destinations, outbox: Path) -> None:
    for folder in sorted(path for path in outbox.glob("*/*/*") if path.is_dir()):
        account, collection_id = folder.parts[-3:-1]
        try:
            result_set = await destinations.deliver(account, collection_id, sorted(folder.iterdir()))
        except ConsigneeError as error:
            log.error("%s stays where it is: %s", folder, error)
        else:
            log.info("%s is result set %d of %s", folder, result_set.number, collection_id)
            await asyncio.to_thread(shutil.rmtree, folder)


async def how_far(destinations: Destinations, account: str, collection_id: str, number: int) -> dict[str, str]:
    view = await destinations.dispatch.view(account, collection_id, number)
    return {destination_id: one["status"] for destination_id, one in view["destination_status"].items()}


def told(event: Event) -> None:
    log.info("%s", event)


async def work(outbox: Path, config: Path) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with open_destinations(load_settings(config), on_event=told) as destinations:
        while not stopped.is_set():
            await hand_over(destinations, outbox)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), timeout=1)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(work(Path(sys.argv[1]), Path(sys.argv[2])))
