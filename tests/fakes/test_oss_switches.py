"""That each fault of the fake OSS does what its name says, and ends when it is switched off."""

import aiohttp
import pytest
from yarl import URL

from fakes import oss_answers as answers
from fakes.oss import Oss
from fakes.oss_answers import Error
from fakes.oss_client import assert_refused, send, url_of


async def test_put_may_be_allowed_without_delete(client: aiohttp.ClientSession, oss: Oss) -> None:
    """To one user, or to nobody while the switch is on."""
    assert (await send(client, "PUT", url_of(oss, key_id="LTAI-nodelete"), b"data")).status == 200
    denied = await send(client, "DELETE", url_of(oss, "DELETE", key_id="LTAI-nodelete"))
    assert_refused(denied, answers.ACCESS_DENIED)
    oss.switches.no_delete = True
    assert_refused(await send(client, "DELETE", url_of(oss, "DELETE")), answers.ACCESS_DENIED)
    assert oss.objects["a-bucket"] == {"dir/file.txt": b"data"}
    oss.switches.no_delete = False
    assert (await send(client, "DELETE", url_of(oss, "DELETE"))).status == 204


async def test_all_buckets_may_turn_out_to_be_elsewhere(client: aiohttp.ClientSession, oss: Oss) -> None:
    oss.switches.elsewhere = "eu-central-1"
    seen = await send(client, "PUT", url_of(oss))
    assert_refused(seen, answers.OTHER_ENDPOINT)
    assert (seen.element("Bucket"), seen.element("Endpoint")) == ("a-bucket", "oss-eu-central-1.aliyuncs.com")


@pytest.mark.parametrize("error", answers.ERRORS, ids=lambda error: f"{error.code}-{error.ec}")
async def test_any_error_may_be_switched_on(client: aiohttp.ClientSession, oss: Oss, error: Error) -> None:
    oss.switches.error = error
    for method in ("PUT", "DELETE"):
        seen = await send(client, method, url_of(oss, method))
        assert_refused(seen, error)
        assert seen.element("EC") == seen.headers.get("x-oss-ec", "") == error.ec
    assert oss.objects == {}
    oss.switches.error = None
    assert (await send(client, "PUT", url_of(oss))).status == 200


async def test_an_answer_may_be_late(client: aiohttp.ClientSession, oss: Oss) -> None:
    """The object is there before the answer is."""
    oss.switches.delay = 60
    with pytest.raises(TimeoutError):
        async with client.put(
            URL(url_of(oss), encoded=True),
            skip_auto_headers=["Content-Type"],
            timeout=aiohttp.ClientTimeout(total=0.3),
        ):
            pytest.fail("an answer came")
    assert list(oss.objects["a-bucket"]) == ["dir/file.txt"]
    oss.switches.delay = 0.01
    assert (await send(client, "DELETE", url_of(oss, "DELETE"))).status == 204


async def test_an_answer_may_be_cut_off(client: aiohttp.ClientSession, oss: Oss) -> None:
    """The object is there all the same."""
    oss.switches.cut_off = True
    with pytest.raises(aiohttp.ClientError):
        await send(client, "PUT", url_of(oss), b"data")
    assert oss.objects == {"a-bucket": {"dir/file.txt": b"data"}}


async def test_it_may_redirect_and_lie(client: aiohttp.ClientSession, oss: Oss) -> None:
    """Without doing anything."""
    oss.switches.redirect = "http://127.0.0.1:9/elsewhere"
    seen = await send(client, "PUT", url_of(oss))
    assert (seen.status, seen.headers["Location"]) == (307, "http://127.0.0.1:9/elsewhere")
    oss.switches.lies = True
    seen = await send(client, "PUT", url_of(oss))
    assert (seen.status, seen.headers["Content-Type"], "ETag" in seen.headers) == (200, "text/html", False)
    assert oss.objects == {}
