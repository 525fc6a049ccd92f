"""The files of result sets go along with a copy: from the spool of a directory into a staging bucket, and back."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canaries import OSS_SECRET
from consignee.copying.opening import copy_store, end
from consignee.errors import StoreError, StoreUnusable
from consignee.secret import Secret
from consignee.settings import Settings, StagingSettings
from copying.stores import LARGE, content_of, fill, kept_in, settings_of
from fakes.oss import Oss, oss_server
from fakes.oss_access import User
from fakes.oss_answers import ACCESS_DENIED

BUCKET, KEY_ID = "stage-bucket", "LTAI5tStage"


@pytest.fixture
async def oss() -> AsyncIterator[Oss]:
    """A strict server for the staging bucket."""
    async with oss_server({KEY_ID: User(OSS_SECRET)}, {BUCKET: "cn-hangzhou"}, path_style=True) as server:
        yield server


@pytest.fixture
async def old(tmp_path: Path) -> Settings:
    """The settings of a store in a directory with everything in it."""
    settings = settings_of(tmp_path / "old")
    await fill(settings)
    return settings


@pytest.fixture
def new(url: Secret, old: Settings, oss: Oss) -> Settings:
    """The settings of an empty database, with a staging bucket."""
    own: dict[str, Any] = {"oss_bucket_name": BUCKET, "oss_region_id": "oss-cn-hangzhou", "endpoint_url": oss.url}
    own |= {"oss_access_key": Secret(KEY_ID), "oss_secret_key": Secret(OSS_SECRET), "prefix": "kept/here"}
    return replace(end(url.reveal(), old), staging=StagingSettings(type="oss", **own))


async def test_there_and_back_files_are_the_same(old: Settings, new: Settings, oss: Oss, tmp_path: Path) -> None:
    """Under the tokens that their documents name, and with the digests of large ones."""
    copied = await copy_store(old, new)
    assert copied.files is not None
    assert (copied.files.count, copied.files.bytes, copied.files.missing) == (5, len(LARGE) + 21_001, [])
    tokens = {path.split("/")[1] for path in kept_in(Path(old.store.path) / "spool")}
    assert {key.split("/")[2] for key in oss.objects[BUCKET]} == tokens
    back = end(str(tmp_path / "back"), new)
    assert (await copy_store(new, back)).files == copied.files
    assert kept_in(Path(back.store.path) / "spool") == kept_in(Path(old.store.path) / "spool")
    assert await content_of(back) == await content_of(old)


async def test_another_bucket_than_that_of_the_store_is_not_copied_from(
    old: Settings, new: Settings, tmp_path: Path
) -> None:
    """Each file would be missing."""
    await copy_store(old, new)
    other = replace(new, staging=replace(new.staging, prefix="else/where"))
    with pytest.raises(StoreUnusable, match="are in another staging bucket"):
        await copy_store(other, end(str(tmp_path / "back"), other))


async def test_a_bucket_that_fails_ends_the_copy_which_then_goes_on(old: Settings, new: Settings, oss: Oss) -> None:
    """Sets that are in the bucket by then are not sent again."""
    oss.switches.error = ACCESS_DENIED
    oss.switches.only = lambda request: request.method == "PUT" and request.path.split("?")[0].endswith("/1")
    with pytest.raises(StoreError, match="the staging bucket answers"):
        await copy_store(old, new)
    sent, before = dict(oss.objects[BUCKET]), len(oss.requests)
    oss.switches.error = None
    await copy_store(old, new)
    put = [request.path for request in oss.requests[before:] if request.method == "PUT"]
    again = {path.partition("?")[0].removeprefix(f"/{BUCKET}/") for path in put}
    whole = {key for key in sent if key.replace("/0", "/1") not in oss.objects[BUCKET]}
    assert not again & whole
    assert {f"{key.rpartition('/')[0]}/2" for key in again} <= oss.objects[BUCKET].keys()
    assert {key.split("/")[2] for key in oss.objects[BUCKET]} == {
        path.split("/")[1] for path in kept_in(Path(old.store.path) / "spool")
    }
