"""The sealing key changes while files are on their way: no attempt is disturbed, and nothing is sealed with the old key again."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from consignee.delivery import delivery as states
from consignee.delivery.result_set import ResultSet
from consignee.delivery.tracking import SealedCheckpoint, Tracking, opened
from consignee.queue.stored import StoredQueue
from consignee.rotation import Rotation
from consignee.sealed import keys_of, resealed
from consignee.sealing_key import register
from consignee.secret import Sealer, Secret, key_id_of
from consignee.settings import SecretsSettings
from delivery.depot import Depot, depot, until
from delivery.warehouse import CANARY, passing
from queues.claiming import Clock, one
from racing import RacyStore
from vault import counts

KEYS = [bytes([number]) * 32 for number in range(2)]
OLD, NEW = map(key_id_of, KEYS)


@dataclass
class Upload:
    """An upload in parts that waits for its gate, its state sealed with OLD."""

    depot: Depot
    rotation: Rotation
    result_set: ResultSet
    gate: asyncio.Event
    working: asyncio.Task[int]

    async def keys(self) -> set[str]:
        """Return with which keys the state of the upload is sealed."""
        job = await self.depot.job(self.result_set)
        return keys_of(states.KIND, {"data": job.data})

    async def end(self) -> None:
        """Let the attempt end."""
        self.gate.set()
        await self.working


@pytest.fixture
async def upload(tmp_path: Path) -> AsyncIterator[Upload]:
    """The first attempt is under way."""
    async with depot(tmp_path / "depot", "bucket") as made, under_way(made, tmp_path) as upload:
        yield upload


async def rotation_of(made: Depot, path: Path) -> Rotation:
    """Return the rotation of a depot, whose only key is OLD."""
    path.write_bytes(base64.b64encode(KEYS[0]))
    path.chmod(0o600)
    made.parts.sealer.take(KEYS[:1])
    await register(made.store, OLD)
    return Rotation(
        made.store,
        sealer=made.parts.sealer,
        settings=SecretsSettings(key_file=str(path)),
        renewals=made.destinations.renewals,
        random=lambda size: KEYS[1],
    )


@asynccontextmanager
async def under_way(made: Depot, place: Path) -> AsyncIterator[Upload]:
    """Yield an upload that waits."""
    rotation = await rotation_of(made, place / "secret.key")
    result_set = await made.ready()
    made.warehouse.in_parts = True
    made.warehouse.gates["bucket"] = gate = asyncio.Event()
    working = asyncio.create_task(made.work())
    try:
        await until(lambda: made.warehouse.at_gate)
        yield Upload(made, rotation, result_set, gate, working)
    finally:
        working.cancel()


async def test_an_attempt_that_is_under_way_goes_on(upload: Upload) -> None:
    """Its job is saved anew under it, and it keeps its lease."""
    before = await upload.depot.job(upload.result_set)
    assert await upload.keys() == {OLD}
    assert counts(await upload.rotation.rotate())[OLD] == 0
    assert await upload.keys() == {NEW}
    after = await upload.depot.job(upload.result_set)
    assert (after.lease, after.attempt, after.due) == (before.lease, before.attempt, before.due)
    assert after.lease is not None
    await upload.end()
    delivery = await upload.depot.delivery(upload.result_set)
    assert (delivery.status, delivery.attempts) == (states.SUCCESS, 1)


async def test_an_upload_is_gone_on_with_after_the_key_changed(upload: Upload) -> None:
    """Its worker knew the state as the old key sealed it, and saves it as the new one does."""
    upload.depot.warehouse.late = [passing()]
    await upload.rotation.rotate()
    await upload.end()
    assert await upload.keys() == {NEW}
    assert await upload.depot.has(upload.result_set, states.RETRYING)
    upload.depot.clock.now += 3600
    assert await upload.depot.work() == 1
    assert upload.depot.warehouse.resumed == [CANARY]
    assert await upload.depot.has(upload.result_set, states.SUCCESS)


async def test_an_upload_outlives_the_key_that_sealed_its_state(upload: Upload) -> None:
    """Its worker gets the state as the new key seals it, before the old one is forgotten."""
    upload.depot.warehouse.late = [passing()]
    await upload.rotation.rotate()
    await upload.rotation.forget(OLD)
    await upload.end()
    assert await upload.keys() == {NEW}
    assert set(counts(await upload.rotation.status())) == {NEW}
    upload.depot.clock.now += 3600
    assert await upload.depot.work() == 1
    assert upload.depot.warehouse.resumed == [CANARY]
    assert await upload.depot.has(upload.result_set, states.SUCCESS)


async def test_what_is_sealed_anew_as_it_is_saved_outlives_the_old_key_too() -> None:
    """Its job needs no renewal then; what changed while it was saved is not set back."""
    sealer, store, clock = Sealer(KEYS[0]), RacyStore(), Clock()
    await store.open()
    queue = StoredQueue(store, states.KIND, now=clock, dress=partial(resealed, states.KIND, sealer=sealer))
    await queue.open()
    made = states.Delivery(collection_id="C", number=1, destination_id="D", created_at="")
    await queue.add("ann", made.id, made.to_data(), lane="D", due=clock())
    tracking = Tracking(queue, await one(queue))
    checkpoints = [SealedCheckpoint(tracking, index, sealer) for index in range(2)]
    for checkpoint in checkpoints:
        await checkpoint.save({"part": 1})
    sealer.take(KEYS[::-1])
    tracking.note(lambda delivery: delivery)

    async def change() -> None:
        sealed = sealer.seal(Secret('{"part": 2}'), account="ann", id=made.id, revision=0, field="checkpoint 1")
        tracking.note(lambda delivery: delivery.with_checkpoint("1", sealed))

    store.first = change
    await tracking.save()
    sealer.take(KEYS[1:])
    await tracking.save()
    job = await queue.get("ann", made.id)
    assert job is not None
    kept = {index: opened(job, index, text, sealer) for index, text in job.data["checkpoints"].items()}
    assert kept == {"0": {"part": 1}, "1": {"part": 2}}


async def test_what_a_dead_process_worked_on_is_gone_on_with_at_once(upload: Upload, tmp_path: Path) -> None:
    """The lease that it left counts for nothing but a crash, also when its job was sealed anew."""
    upload.depot.warehouse.gates.clear()  # the attempt that is at one stays there
    async with upload.depot.again() as again:
        rotation = await rotation_of(again, tmp_path / "again.key")
        await rotation.rotate()
        assert await again.work() == 1
        assert again.warehouse.resumed == [CANARY]
        assert (await again.delivery(upload.result_set)).attempts == 2
        assert "An attempt was interrupted (1 in a row)." in str(await again.status(upload.result_set))
