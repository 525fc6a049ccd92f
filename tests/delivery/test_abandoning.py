"""Unfinished uploads that nobody goes on with."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from consignee.body import Body
from consignee.delivery.abandoning import Abandoning
from consignee.destination import Destination
from consignee.errors import CredentialsRejected, ProviderError
from consignee.providers import Bucket
from consignee.providers.base import Checkpoint
from consignee.queue import Job
from consignee.secret import Secret
from delivery.depot import depot, until
from delivery.warehouse import CANARY


class _Forgetful(Bucket):
    """It fails to abandon what has no key."""

    def __init__(self) -> None:
        self.found = {}
        self.abandoned: list[str] = []

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError

    async def abandon(self, key: str, state: Mapping[str, Any]) -> None:
        if not key:
            raise KeyError(CANARY)
        self.abandoned.append(key)


async def test_one_upload_that_cannot_be_abandoned_keeps_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor does a state that names no key; what goes wrong is logged by its kind alone."""
    bucket = _Forgetful()

    @asynccontextmanager
    async def opened(destination: Destination) -> AsyncIterator[Bucket]:
        yield bucket

    async with depot(tmp_path) as d:
        result_set = await d.ready()
        job, sealer = await d.job(result_set), d.parts.sealer
        for index, state in enumerate(({"upload": CANARY}, {"upload": CANARY, "key": "b"})):
            bound: dict[str, Any] = {"account": "ann", "id": job.id, "revision": 0, "field": f"checkpoint {index}"}
            sealed = sealer.seal(Secret(json.dumps(state)), **bound)
            job = Job(**{**vars(job), "data": _with_checkpoint(job, str(index), sealed)})
        abandoning = Abandoning(opened, find=d.destinations.get, sealer=sealer, agenda=d.parts.agenda)
        await abandoning.now(job)
        assert bucket.abandoned == ["b"]
        assert f"an unfinished upload of delivery {job.id} is left behind: KeyError" in caplog.text
        assert CANARY not in caplog.text


def _with_checkpoint(job: Job, index: str, sealed: str) -> dict[str, Any]:
    return {**job.data, "checkpoints": {**job.data["checkpoints"], index: sealed}}


async def test_a_stop_of_the_service_leaves_a_word_about_what_it_leaves_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with depot(tmp_path) as d:
        await d.ready()
        d.warehouse.in_parts = True
        d.warehouse.slow = asyncio.Event()
        d.warehouse.broken["bucket"] = CredentialsRejected("The key is wrong.")
        await d.work()
        await until(lambda: d.warehouse.asked)
    assert "is left behind: CancelledError" in caplog.text


async def test_uploads_to_a_destination_that_is_gone_are_left_behind_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with depot(tmp_path) as d:
        result_set = await d.ready()
        d.warehouse.in_parts = True
        d.warehouse.broken["bucket"] = ProviderError("A fault.")
        await d.work()
        d.destinations.deleted.clear()
        await d.destinations.delete("ann", result_set.destination_ids[0])
        d.clock.now += 10
        await d.work()
        assert await d.has(result_set, "skipped")
        await until(lambda: "is left behind: NotFound" in caplog.text)
