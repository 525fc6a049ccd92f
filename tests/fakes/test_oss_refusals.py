"""That the fake OSS refuses whatever isn't signed for exactly that, then and there, by somebody with the right to it."""

import base64
import hashlib
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import aiohttp
import oss2
import pytest

from canaries import OSS_SECRET
from fakes import oss_answers as answers
from fakes.oss import Oss, oss_server
from fakes.oss_answers import Error
from fakes.oss_client import BUCKETS, USERS, WRITER, assert_refused, send, url_of


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        ("dir/file", "dir/other"),
        ("/a-bucket/", "/far-bucket/"),
        ("expires=600", "expires=601"),
        ("x-oss-signature=([0-9a-f])[0-9a-f]", r"x-oss-signature=\1g"),
        ("x-oss-signature=[0-9a-f]+", "x-oss-signature=0"),
        ("x-oss-date=", "acl&x-oss-date="),
        ("x-oss-date=", "uploadId=1&x-oss-date="),
        ("x-oss-date=", "x-oss-additional-headers=host&x-oss-date="),
        ("LTAI-writer", "LTAI-reader"),
    ],
)
async def test_a_changed_url_is_refused(
    client: aiohttp.ClientSession, oss: Oss, pattern: str, replacement: str
) -> None:
    url, count = re.subn(pattern, replacement, url_of(oss), count=1)
    assert count == 1
    assert_refused(await send(client, "PUT", url, b"data"), answers.SIGNATURE_DOES_NOT_MATCH)
    assert oss.objects == {}


async def test_another_method_is_refused(client: aiohttp.ClientSession, oss: Oss) -> None:
    assert_refused(await send(client, "DELETE", url_of(oss, "PUT")), answers.SIGNATURE_DOES_NOT_MATCH)
    assert_refused(await send(client, "PATCH", url_of(oss, "PATCH")), answers.METHOD_NOT_ALLOWED)


async def test_a_mismatch_shows_what_was_expected(client: aiohttp.ClientSession, oss: Oss) -> None:
    """As the vendor's does, so that a provider's handling of such a body is tested; never the secret."""
    seen = await send(client, "PUT", url_of(oss, secret="wrong"))
    assert_refused(seen, answers.SIGNATURE_DOES_NOT_MATCH)
    assert seen.element("OSSAccessKeyId") == WRITER
    assert seen.element("StringToSign").startswith("OSS4-HMAC-SHA256\n")
    assert seen.element("CanonicalRequest").startswith("PUT\n/a-bucket/dir/file.txt\n")
    assert OSS_SECRET not in seen.body


async def test_another_body_than_the_digest_says_is_refused(client: aiohttp.ClientSession, oss: Oss) -> None:
    digest = base64.b64encode(hashlib.md5(b"data").digest()).decode()
    headers = {"Content-MD5": digest}
    url = url_of(oss, headers=headers)
    assert_refused(await send(client, "PUT", url, b"dada", headers), answers.INVALID_DIGEST)
    assert oss.objects == {}
    assert (await send(client, "PUT", url, b"data", headers)).status == 200
    for bad in (hashlib.md5(b"data").hexdigest(), "?"):
        headers = {"Content-MD5": bad}
        assert_refused(
            await send(client, "PUT", url_of(oss, headers=headers), b"data", headers), answers.INVALID_DIGEST
        )


async def test_a_url_is_valid_for_its_time_only(client: aiohttp.ClientSession, oss: Oss) -> None:
    """Until it expires, and, for clocks that are slow, up to 15 minutes before it was made."""
    url = url_of(oss, expires=600)
    for seconds, error in ((660, answers.EXPIRED), (-960, answers.NOT_YET_VALID)):
        oss.switches.clock_offset = timedelta(seconds=seconds)
        seen = await send(client, "PUT", url)
        assert_refused(seen, error)
        assert seen.element("Expires") and seen.element("ServerTime")
    for seconds in (540, -840):
        oss.switches.clock_offset = timedelta(seconds=seconds)
        assert (await send(client, "PUT", url)).status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"key_id": "LTAI-inactive"}, answers.INACTIVE_ACCESS_KEY_ID),
        ({"key_id": "LTAI-arrears"}, answers.USER_DISABLE),
        ({"key_id": "LTAI-reader"}, answers.ACCESS_DENIED),
        ({"secret": ""}, answers.SIGNATURE_DOES_NOT_MATCH),
        ({"bucket": "no-bucket"}, answers.NO_SUCH_BUCKET),
        ({"bucket": "far-bucket"}, answers.OTHER_ENDPOINT),
        ({"region": "cn-shanghai"}, answers.INVALID_REGION),
        ({"region": "oss-cn-hangzhou"}, answers.INVALID_REGION),
        ({"region": ""}, answers.INVALID_REGION),
        ({"params": {"acl": ""}}, answers.NOT_IMPLEMENTED),
        ({"params": {"x-oss-security-token": "t"}}, answers.INVALID_SECURITY_TOKEN),
        ({"key": "/slash"}, answers.INVALID_OBJECT_NAME),
        ({"key": "\\backslash"}, answers.INVALID_OBJECT_NAME),
        ({"key": "k" * 1024}, answers.INVALID_OBJECT_NAME),
        ({"expires": 604_801}, answers.INVALID_ARGUMENT),
        ({"expires": 0}, answers.INVALID_ARGUMENT),
    ],
)
async def test_a_valid_signature_is_not_enough(
    client: aiohttp.ClientSession, oss: Oss, method: str, arguments: dict[str, Any], error: Error
) -> None:
    assert_refused(await send(client, method, url_of(oss, method, **arguments)), error)
    assert oss.objects == {}


async def test_an_unknown_key_and_a_bad_bucket_are_refused(client: aiohttp.ClientSession, oss: Oss) -> None:
    """Neither of which the SDK's signature rules out."""
    url = url_of(oss).replace("LTAI-writer", "LTAI-nobody")
    assert_refused(await send(client, "PUT", url), answers.INVALID_ACCESS_KEY_ID)
    url = url_of(oss).replace("/a-bucket/", "/A_Bucket/")
    assert_refused(await send(client, "PUT", url), answers.INVALID_BUCKET_NAME)


async def test_a_bucket_elsewhere_is_told_where(client: aiohttp.ClientSession) -> None:
    """By the region in the host too; there, and signed for there, it is found."""
    async with oss_server(USERS, BUCKETS) as oss:
        here = url_of(oss, bucket="far-bucket", endpoint=f"http://oss-cn-hangzhou.localhost:{oss.port}")
        seen = await send(client, "PUT", here)
        assert_refused(seen, answers.OTHER_ENDPOINT)
        assert seen.element("Endpoint") == "oss-cn-shanghai.aliyuncs.com"
        assert seen.element("HostId") == f"far-bucket.oss-cn-hangzhou.localhost:{oss.port}"
        endpoint = f"http://oss-cn-shanghai.localhost:{oss.port}"
        assert_refused(
            await send(client, "PUT", url_of(oss, bucket="far-bucket", endpoint=endpoint)), answers.INVALID_REGION
        )
        there = url_of(oss, bucket="far-bucket", endpoint=endpoint, region="cn-shanghai")
        assert (await send(client, "PUT", there)).status == 200


async def test_no_signature_and_old_signatures_are_refused(client: aiohttp.ClientSession, oss: Oss) -> None:
    url = f"{oss.url}/a-bucket/key"
    assert_refused(await send(client, "PUT", url), answers.ANONYMOUS)
    basic = {"Authorization": "OSS LTAI-writer:c2lnbmF0dXJl"}
    assert_refused(await send(client, "PUT", url, headers=basic), answers.OLD_SIGNATURE)
    for old in (oss2.Auth, oss2.AuthV2):
        bucket = oss2.Bucket(old(WRITER, OSS_SECRET), oss.url, "a-bucket", is_path_style=True)
        assert_refused(await send(client, "PUT", bucket.sign_url("PUT", "key", 600)), answers.OLD_SIGNATURE)
    assert oss.objects == {}


@pytest.mark.parametrize("name", ["date", "expires", "credential", "signature"])
async def test_an_incomplete_signature_is_refused(client: aiohttp.ClientSession, oss: Oss, name: str) -> None:
    """Each part is named when it is missing or empty."""
    for replacement in ("", rf"&x-oss-{name}=&"):
        url = re.sub(rf"(?<=[?&])x-oss-{name}=[^&]*&?", replacement, url_of(oss))
        seen = await send(client, "PUT", url)
        assert_refused(seen, answers.INVALID_ARGUMENT)
        assert seen.element("ArgumentName") == f"x-oss-{name}"


@pytest.mark.parametrize(
    ("pattern", "replacement", "error"),
    [
        ("aliyun_v4_request", "aws4_request", answers.INVALID_ARGUMENT),
        (quote("/oss/", safe=""), quote("/s3/", safe=""), answers.INVALID_PRODUCT),
        (r"LTAI-writer%2F\d{8}", "LTAI-writer%2F20200101", answers.INVALID_DATE),
        (r"x-oss-date=\d{8}T", "x-oss-date=20261399T", answers.INVALID_ARGUMENT),
        (r"x-oss-date=\w+", "x-oss-date=now", answers.INVALID_ARGUMENT),
        ("x-oss-date=", "x-oss-additional-headers=&x-oss-date=", answers.INVALID_ARGUMENT),
        ("x-oss-date=", "x-oss-additional-headers=Host&x-oss-date=", answers.INVALID_ARGUMENT),
        ("x-oss-date=", "x-oss-additional-headers=host%3Ba&x-oss-date=", answers.INVALID_ARGUMENT),
        ("dir/file.txt", "%FF", answers.INVALID_OBJECT_NAME),
    ],
)
async def test_what_is_not_as_specified_is_refused(
    client: aiohttp.ClientSession, oss: Oss, pattern: str, replacement: str, error: Error
) -> None:
    url, count = re.subn(pattern, replacement, url_of(oss))
    assert count == 1
    assert_refused(await send(client, "PUT", url), error)


async def test_two_signatures_are_refused(client: aiohttp.ClientSession, oss: Oss) -> None:
    seen = await send(client, "PUT", url_of(oss), headers={"Authorization": "OSS4-HMAC-SHA256 Credential=a"})
    assert_refused(seen, answers.INVALID_ARGUMENT)
    assert seen.element("ArgumentName") == "Authorization"
    broken = await send(client, "PUT", f"{oss.url}/a-bucket/k", headers={"Authorization": "OSS4-HMAC-SHA256 nothing"})
    assert_refused(broken, answers.INVALID_ARGUMENT)
