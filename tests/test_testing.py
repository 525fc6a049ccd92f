"""What `consignee.testing` gives to others works where they use it: in a pytest of their own, with nothing of ours around it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from consignee.body import Body
from consignee.destination import Draft
from consignee.errors import Throttled
from consignee.providers.base import Bucket, Checkpoint
from consignee.providers.memory import MemoryBucket
from consignee.testing import MemoryStorage, ended, open_in_memory, serving
from consignee.transport import Transport
from pages import EXAMPLES

FIELDS = {
    "name": "Mine",
    "enabled": True,
    "type": "memory",
    "memory_secret": "memory-secret",
    "memory_bucket_name": "bucket",
}
CONFTEST = 'pytest_plugins = ["consignee.testing"]\n'
BROKEN_STORE = """
import pytest
from consignee.testing import MemoryStore, StoreContract

class Forgetful(MemoryStore):
    async def remove(self, kind, account, id, *, replaces):
        pass

class TestForgetful(StoreContract):
    @pytest.fixture
    async def store(self):
        store = Forgetful()
        await store.open()
        yield store
        await store.close()
"""
BROKEN_TYPE = """
import pytest
from consignee.providers.memory import MemoryBucket
from consignee.testing import BucketContract, MemoryStorage, Subject, loopback

@pytest.fixture(autouse=True)
def careless(monkeypatch):
    async def put(self, key, body, checkpoint=None):
        self._storage.buckets.setdefault(self._name, {})[key] = b"".join([chunk async for chunk in body.chunks()])
    monkeypatch.setattr(MemoryBucket, "put", put)

class TestCareless(BucketContract):
    @pytest.fixture
    def subject(self, memory_storage):
        bucket = memory_storage.buckets["bucket"]
        async def keys():
            return sorted(bucket)
        async def read(key):
            return bucket[key]
        forbidding = MemoryStorage(may_delete=False)
        forbidding.buckets = memory_storage.buckets
        return Subject(
            provider=memory_storage.provider, forbidding=forbidding.provider, settings=loopback(),
            fields={"memory_secret": "memory-secret", "memory_bucket_name": "bucket"},
            wrong_secret={"memory_secret": "wrong"}, no_bucket={"memory_bucket_name": "no-such-bucket"}, no_delete={},
            keys=keys, read=read,
        )
"""
STRICT = """
import pytest

@pytest.mark.asyncio
async def test_what_the_fixtures_give(memory_destinations, memory_store):
    assert memory_store.writable
    assert (await memory_destinations.list("ann")).total == 0
"""


def run(place: Path, *files: str, mode: str = "auto") -> "subprocess.CompletedProcess[str]":
    """Run pytest there, as somebody else would: with a configuration of their own, in which warnings are errors."""
    settings = (f"asyncio_mode = {mode}", "asyncio_default_fixture_loop_scope = function", "filterwarnings = error")
    (place / "pytest.ini").write_text("\n".join(["[pytest]", *settings]))
    command = [sys.executable, "-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*command, *files], cwd=place, env=environ, capture_output=True, text=True, check=False, timeout=300
    )


def failed(done: "subprocess.CompletedProcess[str]") -> set[str]:
    """Return the names of the tests that failed, without their parameters."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    return {line.split(" ")[1].rpartition("::")[2].partition("[")[0] for line in lines}


def test_the_examples_pass_in_a_place_of_their_own(tmp_path: Path) -> None:
    for name in ("in_your_tests", "test_crate", "crate"):
        (tmp_path / f"{name}.py").write_text((EXAMPLES / f"{name}.py").read_text())
    done = run(tmp_path, "in_your_tests.py", "test_crate.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout


def test_what_breaks_its_promises_does_not_pass(tmp_path: Path) -> None:
    """Neither a store nor a destination type; and what was expected is shown, as of asserts in somebody's own tests."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_store.py").write_text(BROKEN_STORE)
    (tmp_path / "test_type.py").write_text(BROKEN_TYPE)
    done = run(tmp_path, "test_store.py", "test_type.py")
    assert done.returncode == 1
    assert failed(done) == {
        "test_a_removed_document_is_gone_and_may_come_again",
        "test_removing_another_revision_is_a_conflict",
        "test_the_accounts_are_those_that_have_a_document_of_the_kind",
        "test_the_ids_are_those_of_the_list_in_its_order",
        "test_the_limit_holds_for_new_documents_of_the_account",
        "test_the_version_is_another_one_after_every_change",
        "test_a_list_is_in_order_of_the_first_save",
        "test_a_wrong_secret_is_rejected",
        "test_a_bucket_that_does_not_exist_is_not_found",
        "test_a_large_body_is_refused_as_a_small_one_is",
    }, done.stdout
    assert "assert Document(account='a', id='1'" in done.stdout


def test_the_fixtures_work_also_where_coroutines_are_marked(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_strict.py").write_text(STRICT)
    done = run(tmp_path, "test_strict.py", mode="strict")
    assert done.returncode == 0, done.stdout + done.stderr


async def test_how_deliveries_ended_is_told_when_all_have() -> None:
    storage = MemoryStorage("bucket")
    async with open_in_memory(storage) as destinations:
        made = [(await destinations.create("ann", {**FIELDS, "name": name})).id for name in ("good", "bad")]
        collections = destinations.dispatch.collections
        collection = await collections.create("ann", {"name": "C", "destination_ids": made})
        await destinations.update("ann", made[1], {"enabled": False})
        await destinations.deliver("ann", collection.id, [("a.csv", b"1")])
        assert await ended(destinations, "ann", collection.id) == {made[0]: "success", made[1]: "skipped"}


class Throttling(MemoryBucket):
    """A bucket that takes nothing at the moment."""

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        raise Throttled("The storage asks for patience.")


class ThrottlingStorage(MemoryStorage):
    """A storage of such buckets, as soon as it is `throttling`."""

    throttling = False

    @asynccontextmanager
    async def _open(self, draft: Draft, found: Mapping[str, str], transport: Transport) -> AsyncIterator[Bucket]:
        yield (Throttling if self.throttling else MemoryBucket)(self, "bucket", known=True)


async def test_deliveries_that_do_not_end_are_not_waited_for_without_end() -> None:
    storage = ThrottlingStorage("bucket")
    async with open_in_memory(storage) as destinations:
        made = await destinations.create("ann", FIELDS)
        collection = await destinations.dispatch.collections.create("ann", {"name": "C", "destination_ids": [made.id]})
        storage.throttling = True
        await destinations.deliver("ann", collection.id, [("a.csv", b"1")])
        with pytest.raises(TimeoutError):
            await ended(destinations, "ann", collection.id, within=0.2)


def test_a_server_that_can_not_start_is_no_riddle() -> None:
    async def fails(_: web.Application) -> None:
        raise OSError("no such database")

    app = web.Application()
    app.on_startup.append(fails)
    with pytest.raises(OSError, match="no such database"), serving(app):
        pytest.fail("it has started")
