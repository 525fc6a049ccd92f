"""Servers and workers on one database, as real processes: what one takes in another delivers, and all know the same keys."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from consignee.accounts import open_accounts
from consignee.opening import open_destinations
from consignee.secret import Secret
from consignee.settings import load_settings
from endurance.service import Api, bucket_fields
from fakes.chaos_process import ChaosServer, chaos_process

from .cluster import PASSWORD, Cluster
from .endurance.fire import Fire
from .endurance.fleet import Member
from .endurance.site import STAGING, Site, prepare
from .house import DELIVERY, asked, at_work, refused, server, until_all_succeeded, worker

pytestmark = pytest.mark.postgres

METRICS = "[metrics]\nenabled = true\npublic = true\n"
AT_ONCE = 6


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosServer]:
    """The storage of the customers and of the files on their way."""
    with chaos_process("bucket-*", STAGING, keep=True, directory=tmp_path_factory.mktemp("storage")) as running:
        yield running


@pytest.fixture(scope="module")
def site(cluster: Cluster, storage: ChaosServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What all processes of these tests share, on a database of their own."""
    made = prepare(tmp_path_factory.mktemp("site"), cluster.create("service"), storage, delivery=DELIVERY)
    made.config.write_text(made.config.read_text() + METRICS)
    yield made
    cluster.drop("service")


@dataclass(frozen=True)
class House:
    """Two servers that leave deliveries to a worker."""

    one: Member
    other: Member
    delivering: Member


@pytest.fixture(scope="module")
def house(site: Site) -> Iterator[House]:
    """Those, at work."""
    made = House(server(site, "one"), server(site, "other"), worker(site))
    members = [made.one, made.other, made.delivering]

    async def start() -> None:
        await asyncio.gather(*(member.start() for member in members))

    try:
        asyncio.run(start())
        yield made
        assert [member.stop() for member in members] == [0, 0, 0]
    finally:
        for member in members:
            member.kill()


def changed(site: Site, **environment: str) -> Site:
    """Return the site with other variables."""
    return replace(site, environment={**site.environment, **environment})


async def test_a_worker_delivers_what_a_server_took_in_and_another_server_shows_it(
    house: House, storage: ChaosServer
) -> None:
    async with aiohttp.ClientSession() as session:
        api = Api(session, house.one.url)
        fire = Fire(api, storage)
        await fire.aim(2)
        await fire.produce(3)
        await fire.all_there()
        await until_all_succeeded(api, house.other.url)
        attempts = 'consignee_attempts_total{code="",outcome="ok",type="s3compatible"} 6.0'
        assert attempts in (await asked(api, f"{house.delivering.url}/metrics"))[1]
        for leaving in (house.one, house.other):
            assert "consignee_attempts_total{" not in (await asked(api, f"{leaving.url}/metrics"))[1]


async def test_a_worker_tells_how_it_is_and_nothing_else(house: House) -> None:
    async with aiohttp.ClientSession() as session:
        api = Api(session, house.delivering.url)
        statuses = {
            path: (await asked(api, api.url + path))[0] for path in ("/healthz", "/readyz", "/account", "/console")
        }
        assert statuses == {"/healthz": 200, "/readyz": 200, "/account": 404, "/console": 404}
        _, text = await asked(api, f"{api.url}/metrics")
        assert 'consignee_queue_jobs{queue="deliveries",state="due"} 0.0' in text
        assert 'consignee_places{place="database"} 10.0' in text
        assert "consignee_store_writable 1.0" in text


def test_nothing_is_written_to_the_disk_of_a_process_with_a_staging_bucket(house: House, site: Site) -> None:
    """But for its log: so its machine may be lost, or read-only."""
    assert {path.name for path in site.config.parent.iterdir()} == {
        "consignee.toml",
        "secret.key",
        *(f"{member.name}.log" for member in (house.one, house.other, house.delivering)),
    }


async def test_a_key_is_known_and_forgotten_by_all_at_once(house: House, site: Site) -> None:
    """The command talks to the database itself, whichever processes run."""
    urls = [f"{member.url}/account" for member in (house.one, house.other)]
    async with aiohttp.ClientSession() as session:
        api = Api(session, house.one.url)
        key = (await asyncio.to_thread(site.run, "keys", "create", "--account", "bob")).strip()
        assert [(await asked(api, url, key=key))[0] for url in urls] == [200, 200]
        assert f"revoked {key.split('_')[1]}" in await asyncio.to_thread(site.run, "keys", "revoke", key.split("_")[1])
        assert [(await asked(api, url, key=key))[0] for url in urls] == [401, 401]


def test_the_sealing_key_is_looked_at_while_servers_run_and_none_is_made(house: House, site: Site) -> None:
    """A new one has to be given to all processes before anything is sealed with it."""
    before = site.run("secrets", "status")
    assert "(current)" in before
    assert "Other processes" in refused(site, "secrets", "rotate", "--new")
    assert site.run("secrets", "status") == before


async def test_a_process_that_serves_and_delivers_needs_no_worker(
    site: Site, storage: ChaosServer, empty_url: Secret
) -> None:
    alone = changed(site, CONSIGNEE_STORE__URL=empty_url.reveal(), CONSIGNEE_STAGING__PREFIX="alone")
    await asyncio.to_thread(alone.run, "migrate")
    async with at_work(Member("alone", alone, "serve")) as api:
        fire = Fire(api, storage)
        await fire.aim(1)
        await fire.produce(1)
        await fire.all_there()


async def test_without_a_staging_bucket_a_second_process_is_refused_as_long_as_the_first_runs(
    site: Site, url: Secret
) -> None:
    """The files are on the disk of one of them, and no other could deliver them."""
    none = {"CONSIGNEE_STAGING__TYPE": "", "CONSIGNEE_STAGING__S3_BUCKET_NAME": ""}
    local = changed(site, CONSIGNEE_STORE__URL=url.reveal(), **none)
    async with at_work(Member("first", local, "serve")):
        assert "staging" in await asyncio.to_thread(refused, local, "worker")
    async with at_work(Member("second", local, "serve")) as api:
        assert (await asked(api, f"{api.url}/readyz"))[0] == 200


async def test_all_may_start_at_once_on_a_new_database(site: Site, url: Secret) -> None:
    """What a first start makes is made once: none finds half of it, and none is told that it is there already."""
    variables = {**site.environment, "CONSIGNEE_STORE__URL": url.reveal(), "CONSIGNEE_STAGING__PREFIX": "at-once"}
    settings = load_settings(site.config, environ=variables)
    async with AsyncExitStack() as stack:

        async def start() -> str:
            opened = await stack.enter_async_context(open_destinations(settings))
            accounts = await open_accounts(opened.store, sealer=opened.sealer)
            return await accounts.create_key("ann")

        keys = await asyncio.gather(*(start() for _ in range(AT_ONCE)))
        opened = await stack.enter_async_context(open_destinations(settings))
        accounts = await open_accounts(opened.store, sealer=opened.sealer)
        assert [await accounts.authenticate(key) for key in keys] == ["ann"] * AT_ONCE


def test_a_destination_is_checked_without_the_database_and_the_staging_bucket(
    site: Site, storage: ChaosServer, tmp_path: Path
) -> None:
    nowhere = changed(
        site,
        CONSIGNEE_STORE__URL="postgresql://nobody@127.0.0.1:1/nowhere",
        CONSIGNEE_STAGING__ENDPOINT_URL="http://127.0.0.1:1",
    )
    fields = tmp_path / "fields.json"
    fields.write_text(json.dumps({"type": "s3compatible", **bucket_fields(storage, 0)}))
    assert "The destination works." in nowhere.run("check", str(fields))


def test_a_backup_is_left_to_the_database(site: Site, tmp_path: Path) -> None:
    for command in ("backup", "restore"):
        assert "pg_dump" in refused(site, command, str(tmp_path / "backup.tar"))
    assert not (tmp_path / "backup.tar").exists()


def test_a_database_without_a_schema_is_refused_with_what_to_do(site: Site, empty_url: Secret) -> None:
    bare = changed(site, CONSIGNEE_STORE__URL=empty_url.reveal())
    assert "consignee migrate" in refused(bare, "serve")


def test_an_empty_database_beside_a_store_in_the_directory_is_refused(site: Site, url: Secret, tmp_path: Path) -> None:
    """Else whoever forgets to move it finds a service without any customer."""
    filed = changed(site, CONSIGNEE_STORE__URL="", CONSIGNEE_STORE__PATH=str(tmp_path / "filed"))
    filed.run("keys", "create", "--account", "ann")
    beside = changed(filed, CONSIGNEE_STORE__URL=url.reveal())
    assert "consignee store copy" in refused(beside, "keys", "list")


def test_a_wrong_password_is_refused_and_not_told(site: Site) -> None:
    url = site.environment["CONSIGNEE_STORE__URL"]
    wrong = url.replace("pg+canary", "pg+wrong-canary")
    assert wrong != url
    said = refused(changed(site, CONSIGNEE_STORE__URL=wrong), "keys", "list")
    assert "canary" not in said
    assert "password" in said


def test_the_settings_are_shown_without_the_url(site: Site) -> None:
    shown = site.run("config")
    assert 'url = "***"  # environment' in shown
    assert PASSWORD not in shown
