"""Several processes change one document, each what it has read: no change is lost."""

import asyncio
import sys
from pathlib import Path

from consignee.secret import Secret
from consignee.store.postgres import PostgresStore
from samples.serving import environment

from .contender import ACCOUNT, ID, KIND

PROCESSES = 4
UPDATES = 250


async def test_no_contended_update_is_lost(store: PostgresStore, url: Secret) -> None:
    """Each of them adds 1 to a counter, 250 times, and begins again when somebody else was faster."""
    await store.save(KIND, ACCOUNT, ID, {"count": 0})
    conflicts = await asyncio.gather(*(_contend(url) for _ in range(PROCESSES)))
    found = await store.get(KIND, ACCOUNT, ID)
    assert found is not None
    assert (found.data["count"], found.revision) == (PROCESSES * UPDATES, PROCESSES * UPDATES + 1)
    assert sum(conflicts) > 0, "they never met"
    print(f"{PROCESSES} processes, {UPDATES} updates each: {found.data['count']}, {sum(conflicts)} conflicts")  # noqa: T201


async def _contend(url: Secret) -> int:
    """Return how often it was too late."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("contender.py")),
        str(UPDATES),
        env={**environment(coverage=False), "CONTENDED_URL": url.reveal()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return int(told)
