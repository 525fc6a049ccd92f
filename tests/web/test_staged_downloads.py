"""Files of result sets, downloaded from a staging bucket; the store is a directory, as it may be."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from canaries import OSS_SECRET
from consignee.secret import Secret
from consignee.settings import Settings, StagingSettings
from fakes.oss import Oss, oss_server
from fakes.oss_access import User

from .conftest import Client, Start, collected, form, rest_of
from .test_downloads import CONTENT, ETAG, path_of

BUCKET, KEY_ID = "stage-bucket", "LTAI5tStage"


@pytest.fixture
async def oss() -> AsyncIterator[Oss]:
    """A strict server for the staging bucket."""
    async with oss_server({KEY_ID: User(OSS_SECRET)}, {BUCKET: "cn-hangzhou"}, path_style=True) as server:
        yield server


@pytest.fixture
async def staged(start: Start, settings: Settings, oss: Oss) -> Client:
    """The service."""
    staging = StagingSettings(
        type="oss",
        endpoint_url=oss.url,
        oss_bucket_name=BUCKET,
        oss_region_id="oss-cn-hangzhou",
        oss_access_key=Secret(KEY_ID),
        oss_secret_key=Secret(OSS_SECRET),
    )
    return await start(replace(settings, staging=staging))


async def test_a_file_is_sent_whole_or_in_part(staged: Client) -> None:
    path = await path_of(staged)
    response = await staged.get(path)
    assert (response.status, await response.read(), response.headers["ETag"]) == (200, CONTENT, ETAG)
    response = await staged.get(path, headers={"Range": "bytes=1000-300999"})
    assert (response.status, await response.read()) == (206, CONTENT[1000:301_000])
    response = await staged.head(path)
    assert (response.status, response.headers["Content-Length"]) == (200, str(len(CONTENT)))


async def test_a_file_that_is_gone_or_can_not_be_read_now_is_a_503(staged: Client, oss: Oss) -> None:
    path = await path_of(staged)
    kept = dict(oss.objects[BUCKET])
    oss.users.clear()
    refused = await staged.get(path)
    oss.users[KEY_ID] = User(OSS_SECRET)
    oss.objects[BUCKET].clear()
    gone = await staged.get(path)
    oss.objects[BUCKET].update(kept)
    for response in (refused, gone):
        assert response.status == 503
        assert (await response.json())["request_info"]["code"] == "unavailable"
        assert KEY_ID not in await response.text()
    assert await (await staged.get(path)).read() == CONTENT


async def test_a_damaged_file_is_never_received_as_if_it_were_whole(staged: Client, oss: Oss) -> None:
    path = await path_of(staged)
    ((key, content),) = oss.objects[BUCKET].items()
    oss.objects[BUCKET][key] = content[:-1] + bytes([content[-1] ^ 1])
    received, whole = await rest_of(await staged.get(path))
    assert (whole, len(received) < len(CONTENT)) == (False, True)


async def test_an_upload_is_answered_with_503_while_the_bucket_refuses(staged: Client, oss: Oss) -> None:
    """And with 200 as soon as it does not any more; nothing is left of the first one. Why is the operator's alone to know."""
    oss.users.clear()
    response = await staged.post(f"{await collected(staged)}/results", data=form({"a.bin": CONTENT}))
    assert (response.status, "credentials" in await response.text()) == (503, False)
    oss.users[KEY_ID] = User(OSS_SECRET)
    await path_of(staged, "b.bin")
    assert len(oss.objects[BUCKET]) == 1
