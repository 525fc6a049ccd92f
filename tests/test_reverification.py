"""Enabled destinations are tested again when their last test is old: in the background, fairly, and never the disabled ones."""

import asyncio
import logging
from collections import Counter
from dataclasses import replace

import pytest

from balky import BalkyStorage, fields
from clinic import START, clinic
from consignee import open_destinations
from consignee.secret import Secret
from consignee.settings import SecretsSettings, Settings, VerificationSettings
from consignee.store.memory import MemoryStore

DAY = 86400.0
HOUR = 3600.0


async def test_what_was_tested_long_ago_is_tested_again() -> None:
    async with clinic() as running:
        id_ = await running.register("ann", "one")
        running.repeat("24h")
        await running.timers.advance(DAY - 1)
        assert running.storage.opened == []
        await running.timers.advance(2 * HOUR)
        assert running.storage.opened == ["one"]
        at = (await running.last_test("ann", id_))["at"]
        assert at > f"{START.replace(day=3):%Y-%m-%dT%H}"
        await running.timers.advance(DAY - 2 * HOUR)
        assert running.storage.opened == ["one"], "the time counts from the last test, whoever asked for it"
        await running.timers.advance(3 * HOUR)
        assert running.storage.opened == ["one", "one"]


async def test_a_test_that_somebody_asked_for_counts() -> None:
    async with clinic() as running:
        id_ = await running.register("ann", "one")
        running.repeat("24h")
        await running.timers.advance(DAY / 2)
        await running.destinations.test_saved("ann", id_)
        await running.timers.advance(DAY - HOUR)
        assert running.storage.opened == ["one"]


async def test_a_disabled_one_is_never_tested() -> None:
    """Nor one that is disabled while its test waits."""
    async with clinic() as running:
        await running.register("ann", "off", enabled=False)
        later = await running.register("ann", "later")
        running.repeat("24h")
        await running.timers.advance(DAY)
        assert running.timers.waiting > 1, "a test is planned"
        await running.destinations.update("ann", later, {"enabled": False})
        await running.timers.advance(3 * DAY)
        assert running.storage.opened == []


async def test_one_that_was_enabled_elsewhere_and_never_tested_is() -> None:
    """As one that another version of the service saved."""
    async with clinic() as running:
        id_ = await running.register("ann", "one")
        store = running.destinations.store
        destination = await running.destinations.get("ann", id_)
        await running.destinations._save(replace(destination, last_test=None))
        running.repeat("24h")
        await running.timers.advance(HOUR)
        assert running.storage.opened == ["one"]
        assert (await running.last_test("ann", id_))["ok"] is True
        assert await store.accounts("destinations") == ["ann"]


async def test_tests_are_spread_over_time() -> None:
    """Those that fell due together don't begin together."""
    async with clinic() as running:
        for number in range(10):
            await running.register("ann", f"b{number}")
        dice = iter(number / 10 for number in range(1000))
        running.repeat("24h", random=lambda: next(dice))
        await running.timers.advance(DAY)
        began = []
        for _ in range(12):
            began.append(len(running.storage.opened))
            await running.timers.advance(HOUR / 10)
    assert began == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]


async def test_a_hanging_one_delays_no_other() -> None:
    """Neither of its own account nor of another."""
    async with clinic(concurrency=16) as running:
        for bucket in ("hangs", "hangs-too", "works"):
            await running.register("ann", bucket)
        await running.register("bob", "works-too")
        running.storage.hanging |= {"hangs", "hangs-too"}
        running.repeat("24h")
        await running.timers.advance(DAY + 2 * HOUR)
        assert sorted(running.storage.opened) == ["hangs", "hangs-too", "works", "works-too"]
        assert sorted(running.storage.under_way) == ["hangs", "hangs-too"]


async def test_three_accounts_get_the_same_though_one_has_far_more() -> None:
    """Ann's fifty hang: they hold a quarter of the places, and bob's and cy's are tested meanwhile."""
    async with clinic(concurrency=16) as running:
        for number in range(50):
            await running.register("ann", f"ann-{number}")
        for account in ("bob", "cy"):
            for number in range(5):
                await running.register(account, f"{account}-{number}")
        running.storage.hanging |= {f"ann-{number}" for number in range(50)}
        running.repeat("24h")
        await running.timers.advance(DAY + 2 * HOUR)
        served = Counter(name.partition("-")[0] for name in running.storage.opened)
        assert served == {"ann": 4, "bob": 5, "cy": 5}


async def test_half_of_the_places_are_left_for_those_who_ask() -> None:
    """However many hang, of however many accounts."""
    async with clinic(concurrency=8) as running:
        for number in range(20):
            await running.register(f"account{number}", f"b{number}")
        running.storage.hanging |= {f"b{number}" for number in range(20)}
        running.repeat("24h")
        await running.timers.advance(DAY + 2 * HOUR)
        assert len(running.storage.under_way) == 4
        await running.register("zoe", "mine")
        report = await running.destinations.test("zoe", fields("mine"))
        assert report.ok


async def test_a_change_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "consignee")
    async with clinic() as running:
        id_ = await running.register("ann", "one")
        running.repeat("24h")
        running.storage.refusing.add("one")
        await running.timers.advance(4 * DAY)
        assert len(running.storage.opened) == 3
        health = running.destinations.health
        assert (health.broke, health.recovered) == (1, 0)
        assert (await running.last_test("ann", id_))["ok"] is False
        running.storage.refusing.clear()
        await running.timers.advance(2 * DAY)
        assert (health.broke, health.recovered) == (1, 1)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", f"destination {id_} of account ann does not work any more: access_denied"),
        ("INFO", f"destination {id_} of account ann works again"),
    ]


async def test_one_that_is_deleted_meanwhile_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Whether before its turn, or in the middle of its test."""
    async with clinic(concurrency=4) as running:
        hangs, waits = await running.register("ann", "hangs"), await running.register("ann", "waits")
        running.storage.hanging.add("hangs")
        running.repeat("24h")
        await running.timers.advance(DAY + HOUR)
        assert running.storage.opened == ["hangs"], "one place for ann: the other waits"
        await running.destinations.delete("ann", waits)
        await running.destinations.delete("ann", hangs)
        await running.register("bob", "bobs")
        running.storage.resumed.set()
        await running.timers.advance(2 * DAY)
        assert set(running.storage.opened) == {"bobs"}
        assert await running.destinations.store.accounts("destinations") == ["bob"]
        assert running.storage.under_way == []
    assert caplog.records == []


async def test_a_type_that_is_not_served_any_more_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with clinic() as running:
        destination = await running.destinations.get("ann", await running.register("ann", "one"))
        await running.destinations._save(replace(destination, type="gone"))
        running.repeat("24h")
        await running.timers.advance(3 * DAY)
        assert running.storage.opened == []
    assert caplog.records == []


async def test_a_store_that_fails_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    """The next look finds it well again."""
    async with clinic() as running:
        await running.register("ann", "one")
        running.repeat("24h")
        await running.timers.advance(DAY - HOUR)
        await running.destinations.store.close()
        await running.timers.advance(HOUR)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        await running.destinations.store.open()
        await running.timers.advance(2 * HOUR)
        assert running.storage.opened == ["one"]


async def test_it_stops_with_the_service() -> None:
    async with clinic() as running:
        for bucket in ("hangs", "works"):
            await running.register("ann", bucket)
        running.storage.hanging.add("hangs")
        running.repeat("24h")
        await running.timers.advance(DAY + HOUR)
        assert running.storage.under_way == ["hangs"]
        await running.agenda.close()
        assert running.storage.under_way == []
        assert running.timers.waiting == 0


async def test_it_is_off_unless_the_settings_say_how_often() -> None:
    """Then nothing of it is under way: a destination whose test is old stays as it is."""
    store = MemoryStore()
    await store.open()
    settings = replace(Settings(), secrets=SecretsSettings(key=Secret("00" * 32)))
    async with open_destinations(settings, store=store, providers=[]):
        await asyncio.sleep(0.05)
        jobs = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
        assert not [name for name in jobs if name.startswith("Reverification")]


async def test_the_settings_switch_it_on() -> None:
    store, storage = MemoryStore(), BalkyStorage("one")
    await store.open()
    off = replace(Settings(), secrets=SecretsSettings(key=Secret("00" * 32)))
    on = replace(off, verification=VerificationSettings(every="1s"))
    async with open_destinations(off, store=store, providers=[storage.provider]) as destinations:
        made = await destinations.create("ann", fields("one"))
    async with open_destinations(on, store=store, providers=[storage.provider]) as destinations:
        async with asyncio.timeout(30):
            while (await destinations.get("ann", made.id)).last_test == made.last_test:
                await asyncio.sleep(0.01)
