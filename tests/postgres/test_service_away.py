"""The database goes away and comes back: who asks is told at once, nothing hangs, what was accepted is delivered."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.chaos_process import ChaosServer, chaos_process

from .cluster import PASSWORD, Cluster, running
from .endurance.fire import Fire
from .endurance.site import STAGING, Site, prepare
from .house import DELIVERY, SECONDS, asked, at_work, server, silent, until_all_succeeded, until_status, worker

pytestmark = pytest.mark.postgres

PATIENCE = 1.0
"""Seconds that the service gives the database."""


@pytest.fixture
def mortal() -> Iterator[Cluster]:
    """A database server of this test's own."""
    with running() as cluster:
        yield cluster


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[ChaosServer]:
    """The storage of the customers and of the files on their way."""
    with chaos_process("bucket-*", STAGING, keep=True, directory=tmp_path) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, mortal: Cluster, storage: ChaosServer) -> Site:
    """What all processes of a test share."""
    made = prepare(tmp_path, mortal.create("mortal"), storage, delivery=DELIVERY)
    text = made.config.read_text().replace("[store]\n", f"[store]\ntimeout = {PATIENCE}\n")
    made.config.write_text(text + "[metrics]\nenabled = true\npublic = true\n")
    return made


async def test_while_the_database_is_away_everybody_is_told_and_afterwards_all_goes_on(
    site: Site, storage: ChaosServer, mortal: Cluster
) -> None:
    taking, delivering = server(site), worker(site)
    async with at_work(taking, delivering) as api:
        fire = Fire(api, storage)
        await fire.aim(2)
        for number in range(2):
            storage.set_faults(bucket=f"bucket-{number:03d}", error503=1.0)
        await fire.produce(5)
        mortal.kill()
        for member in (taking, delivering):
            await until_status(api, f"{member.url}/readyz", 503)
            assert (await asked(api, f"{member.url}/healthz"))[0] == 200
            _, text = await asked(api, f"{member.url}/metrics")
            assert "consignee_store_writable 0.0" in text
            assert "consignee_queue_jobs{" not in text
        async with asyncio.timeout(SECONDS):
            status, answer = await asked(api, f"{taking.url}/destinations")
        assert (status, answer["request_info"]["code"]) == (503, "unavailable")
        for number in range(2):
            storage.set_faults(bucket=f"bucket-{number:03d}")
        mortal.start()
        for member in (taking, delivering):
            await until_status(api, f"{member.url}/readyz", 200)
        await fire.produce(1)
        await fire.all_there()
        await until_all_succeeded(api, taking.url)
    for member in (taking, delivering):
        told = member.log.read_text()
        assert "can't be reached" in told and "is back" in told
        assert PASSWORD not in told and "Traceback" not in told


async def test_who_is_asked_to_end_does_so_although_the_database_is_away(
    site: Site, storage: ChaosServer, mortal: Cluster
) -> None:
    """`at_work` stops them, and finds that they end well; `mortal` is not there any more by then."""
    async with at_work(server(site), worker(site)) as api:
        fire = Fire(api, storage)
        await fire.aim(1)
        storage.set_faults(bucket="bucket-000", dead=True)
        await fire.produce(2)
        mortal.kill()
        await until_status(api, f"{api.url}/readyz", 503)


async def test_a_database_that_is_silent_hangs_nobody(site: Site, mortal: Cluster) -> None:
    """As behind a firewall that lets nothing through any more: connections stay open, and nothing comes."""
    one = server(site)
    async with at_work(one) as api:
        with silent(mortal):
            async with asyncio.timeout(SECONDS):
                assert (await asked(api, f"{one.url}/readyz"))[0] == 503
                assert (await asked(api, f"{one.url}/destinations"))[0] == 503
        await until_status(api, f"{one.url}/destinations", 200)
