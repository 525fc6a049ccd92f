"""One account's hanging storage holds up nobody else, and a strange time holds up no schedule."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from consignee import open_destinations
from consignee.agenda import Agenda
from consignee.destination import Draft
from consignee.providers import Bucket
from consignee.providers.memory import MemoryStorage
from consignee.reverification import Reverification
from consignee.service import Destinations
from consignee.settings import SecretsSettings, Settings, StoreSettings, VerificationSettings
from consignee.transport import Transport
from consignee.turns import Turns

FIELDS = {"type": "memory", "name": "x", "enabled": True, "memory_secret": "memory-secret"}


class Hanging(MemoryStorage):
    """A storage that never answers for one of its buckets."""

    @asynccontextmanager
    async def _open(self, draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
        if draft.settings["memory_bucket_name"] == "hanging":
            await asyncio.Event().wait()
        async with super()._open(draft, found, transport) as bucket:
            yield bucket


async def test_single_tests_of_one_account_leave_places_for_others(tmp_path: Path) -> None:
    storage = Hanging("good", "hanging")
    settings = replace(
        Settings(),
        store=StoreSettings(path=str(tmp_path / "store")),
        secrets=SecretsSettings(key_file=str(tmp_path / "key")),
        verification=VerificationSettings(timeout=30, concurrency=4),
    )
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        bad = {**FIELDS, "memory_bucket_name": "hanging"}
        hanging = [asyncio.create_task(destinations.test("ann", bad)) for _ in range(20)]
        await asyncio.sleep(0.05)
        async with asyncio.timeout(10):
            reports = [await destinations.test("bob", {**FIELDS, "memory_bucket_name": "good"}) for _ in range(5)]
        assert all(report.ok for report in reports)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


@pytest.mark.parametrize(
    ("at", "due"),
    [
        ("2026-01-01T11:59:55Z", False),
        ("2026-01-01T11:59:49Z", True),
        ("2026-01-01T12:00:05Z", True),
        ("2099-01-01T00:00:00Z", True),
        ("2026-01-01T11:59:55", True),
        ("yesterday", True),
    ],
)
def test_a_time_in_the_future_or_none_at_all_is_due(at: str, due: bool) -> None:
    """A clock that was wrong once must not stop the schedule for good."""
    destinations = cast(Destinations, SimpleNamespace(catalog=SimpleNamespace(types=["s3"])))
    schedule = Reverification(
        destinations,
        period=10,
        turns=Turns(1, each=1),
        agenda=Agenda(),
        now=lambda: datetime(2026, 1, 1, 12, tzinfo=UTC),
    )
    data: dict[str, Any] = {"enabled": True, "type": "s3", "last_test": {"at": at}}
    assert schedule._is_due(data) is due


async def test_a_bucket_that_keeps_a_test_file_gets_no_more_of_them_by_schedule(tmp_path: Path) -> None:
    """Each test would add one; a customer who asks for a test gets it all the same."""
    storage = MemoryStorage("good", "keeping")
    settings = replace(
        Settings(),
        store=StoreSettings(path=str(tmp_path / "store")),
        secrets=SecretsSettings(key_file=str(tmp_path / "key")),
    )
    async with open_destinations(settings, providers=[storage.provider]) as destinations:
        made = {
            name: await destinations.create("ann", {**FIELDS, "memory_bucket_name": name})
            for name in ("good", "keeping")
        }
        schedule = Reverification(destinations, period=0.0, turns=Turns(1, each=1), agenda=Agenda())
        assert [await schedule._is_still_due("ann", one.id) for one in made.values()] == [True, True]
        storage.may_delete = False
        assert not (await destinations.test_saved("ann", made["keeping"].id)).ok
        assert [await schedule._is_still_due("ann", one.id) for one in made.values()] == [True, False]
