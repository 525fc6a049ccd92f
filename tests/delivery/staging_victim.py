"""A process that takes in one result set after another, until it is killed: `python staging_victim.py DIRECTORY URL SEED`.

It prints a line for each that is saved: its token, and the SHA-256 of each of its files.
"""

import asyncio
import hashlib
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from consignee.delivery.placing import opened_files
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.staging_layout import PIECE_BYTES
from consignee.settings import Settings, load_settings
from consignee.store import Store
from consignee.store.json_file import JsonFileStore

KIND: Final = "result_sets"
BLOCK: Final = 100_000


def settings_at(url: str) -> Settings:
    """Return settings whose staging bucket is at that server of the chaos tests."""
    own = {
        "TYPE": "s3compatible",
        "S3_ENDPOINT": url,
        "S3_BUCKET_NAME": "stage",
        "S3_REGION": "us-east-1",
        "S3_ACCESS_KEY_ID": "chaos",
        "S3_SECRET_ACCESS_KEY": "chaos-secret",
    }
    return load_settings(environ={f"CONSIGNEE_STAGING__{name}": text for name, text in own.items()})


@asynccontextmanager
async def opened(directory: Path, url: str) -> AsyncIterator[tuple[Store, ResultFiles]]:
    """Yield the store in that directory, and the files."""
    store = JsonFileStore(directory)
    await store.open()
    try:
        async with opened_files(settings_at(url), store=store) as files:
            yield store, files
    finally:
        await store.close()


async def take_in(store: Store, files: ResultFiles, dice: random.Random) -> None:
    """Take in a set of some files, of which one may be of several pieces."""
    digests = []
    async with files.intake(account="ann", collection_id="C") as intake:
        for number in range(dice.randint(1, 4)):
            size = (
                dice.choice([0, 10, BLOCK, PIECE_BYTES // 2, PIECE_BYTES + 5]) if number == 0 else dice.randint(0, 99)
            )
            content = dice.randbytes(size)
            digests.append(hashlib.sha256(content).hexdigest())
            await intake.add(str(number), _blocks(content))
        token = await intake.keep()
    data = {"token": token, "files": [one.to_data() for one in intake.files]}
    await store.save(KIND, "ann", f"C.{token}", data)
    await files.settle(token)
    print(token, *digests, flush=True)  # noqa: T201


async def _blocks(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), BLOCK):
        yield content[at : at + BLOCK]
        await asyncio.sleep(0)


async def main(directory: str, url: str, seed: str) -> None:
    """Go on without end."""
    dice = random.Random(int(seed))
    async with opened(Path(directory), url) as (store, files):
        print("open", flush=True)  # noqa: T201
        while True:
            await take_in(store, files, dice)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
