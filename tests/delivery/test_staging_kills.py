"""Processes that are killed while files arrive in a staging bucket: what they said is saved is there, and nothing else is."""

import asyncio
import hashlib
import random
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from consignee.delivery.intake import SpooledFile
from consignee.delivery.placing import open_bucket, staging_bucket
from consignee.delivery.staging_layout import PIECE_BYTES, Layout
from consignee.delivery.staging_notes import KIND as NOTES
from consignee.delivery.staging_notes import Notes
from consignee.delivery.staging_pieces import Pieces
from consignee.outlets import open_outlets
from consignee.store import Store
from consignee.store.json_file import JsonFileStore
from delivery import staging_victim
from delivery.stage import read
from fakes.chaos_process import ChaosServer, chaos_process

ROUNDS = 4
MOST = 25


async def test_what_was_acknowledged_is_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    """Killed at any moment, one after the other; the storage fails now and then, too."""
    acknowledged: dict[str, list[str]] = {}
    left, place = 0, tmp_path / "store"
    with chaos_process("stage", keep=True, faults={"error500": 0.05, "drop": 0.02, "cut": 0.02}) as server:
        for seed in range(MOST):
            if seed >= ROUNDS and left:
                break
            acknowledged |= await killed(place, server, seed)
            left = await noted(place)
        server.set_faults()
        async with staging_victim.opened(place, server.url) as (store, files):
            await tidied(store, server)
            kept = await sets(store)
            for token, digests in acknowledged.items():
                for number, digest in enumerate(digests):
                    content = await read(files, token, kept[token], number)
                    assert hashlib.sha256(content).hexdigest() == digest
            assert await store.ids(NOTES, "") == []
        assert set(server.state().objects) == {key for token, about in kept.items() for key in keys(token, about)}
    assert left, "nobody was killed while files arrived"
    assert len(acknowledged) >= ROUNDS


async def killed(directory: Path, server: ChaosServer, seed: int) -> dict[str, list[str]]:
    """Return what a process said was saved until it was killed, a moment after some of it."""
    dice = random.Random(seed)
    arguments = [sys.executable, staging_victim.__file__, str(directory), server.url, str(seed)]
    victim = await asyncio.create_subprocess_exec(*arguments, stdout=PIPE)
    assert victim.stdout is not None
    said = [await victim.stdout.readline() for _ in range(1 + dice.randint(1, 3))]
    await asyncio.sleep(dice.uniform(0, 0.1))
    victim.kill()
    said += (await victim.stdout.read()).splitlines(keepends=True)
    await victim.wait()
    assert said[0] == b"open\n"
    lines = [line.decode().split() for line in said[1:] if line.endswith(b"\n")]
    return {token: digests for token, *digests in lines}


async def noted(place: Path) -> int:
    """Return how many sets are noted that were arriving."""
    store = JsonFileStore(place)
    await store.open()
    found = await store.count(NOTES, "")
    await store.close()
    return found


async def sets(store: Store) -> dict[str, list[SpooledFile]]:
    """Return the files of each set that is saved, by its token."""
    documents = await store.list(staging_victim.KIND, "ann")
    return {one.data["token"]: [*map(SpooledFile.from_data, one.data["files"])] for one in documents}


async def tidied(store: Store, server: ChaosServer) -> None:
    """Remove what the dead left, for whom nobody waits here: they are dead for sure."""
    kept, settings = await sets(store), staging_victim.settings_at(server.url)
    bucket = staging_bucket(settings.staging)

    async def named(account: str, collection_id: str, token: str) -> bool:
        return token in kept

    async with open_outlets(settings) as outlets, open_bucket(*bucket, settings.staging, outlets) as opened:
        pieces = Pieces(lambda: opened, prefix=settings.staging.prefix)
        await Notes(store, dead=0.0).tidy(named, pieces.delete)


def keys(token: str, about: list[SpooledFile]) -> set[str]:
    """Return the objects that a set has."""
    count = Layout(one.size for one in about).pieces(PIECE_BYTES)
    return {f"stage/consignee/{token}/{number}" for number in range(count)}
