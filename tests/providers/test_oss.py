"""What is special about Alibaba Cloud OSS: the region that is a host, and what is sent there."""

import logging
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest

from consignee.body import BytesBody
from consignee.errors import (
    AccessDenied,
    ClockSkew,
    CredentialsRejected,
    EndpointUnreachable,
    ProviderFailure,
    WrongRegion,
)
from consignee.providers import oss
from drafts import CATALOG, problems
from fakes import oss_answers as answers
from fakes.leading import LeadingResolver
from fakes.oss import oss_server
from providers.opening import loopback, opened
from providers.test_oss_contract import BUCKETS, FIELDS, USERS

BODY: Final = BytesBody(b"content")
READER: Final = {"oss_access_key": "LTAI5tReader", "oss_secret_key": "reader-secret"}


def wrong(**changed: Any) -> list[str]:
    """Return which fields are wrong with these changed."""
    return list(problems({**FIELDS, **changed}))


@pytest.mark.parametrize("region", [*oss.REGIONS, "oss-na-south-1", "oss-ap-southeast-6", "oss-cn-hangzhou-finance"])
def test_the_id_of_a_region(region: str) -> None:
    """Those that are known by name, and those that Alibaba will add."""
    assert CATALOG.parse({**FIELDS, "oss_region_id": region}).settings["oss_region_id"] == region


@pytest.mark.parametrize(
    "region",
    [
        *("cn-hangzhou", "oss", "oss-", "oss--x", "oss-cn-", "-oss-cn", "OSS-cn", "oss-CN", "oss_cn", "oss-çn"),
        *("oss-cn-hangzhou.evil.com/#", "oss-cn-hangzhou.aliyuncs.com", "https://oss-cn-hangzhou.aliyuncs.com"),
        *("oss-cn/..", "oss-cn#", "oss-cn?", "oss-cn@127.0.0.1", "oss-cn:80", "oss-cn\\x", "oss-cn%2e", "oss-c n"),
        *("oss-cn-hangzhou\n", "oss-cn\r\nHost: evil.com", f"oss-{'x' * 61}", "{region}", "oss-{bucket}", "oss-٣"),
        # The cases of the shared table whose field is region or oss_endpoint.
        *("x.evil.com/#", "http://oss-cn-hangzhou-internal.aliyuncs.com@127.0.0.1"),
    ],
)
def test_what_is_no_region(region: str) -> None:
    """It becomes the host's name."""
    assert wrong(oss_region_id=region) == ["oss_region_id"]


@pytest.mark.parametrize("name", ["abc", "my-files", "a--b", "0a1", "x" * 63])
def test_the_name_of_a_bucket(name: str) -> None:
    """https://www.alibabacloud.com/help/en/oss/user-guide/bucket-naming-conventions"""
    assert CATALOG.parse({**FIELDS, "oss_bucket_name": name}).settings["oss_bucket_name"] == name


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "x" * 64, "Bucket", "a_b", "a.b", "-ab", "ab-", "a b", "abc\n", "büc", "a/b", "../x", "a\\b", "a:b"),
        *("oss://abc", "abc@127.0.0.1", "abc#", "abc?x", "a%2fb", "127.0.0.1", "{bucket}"),
        "https://a.oss-cn-hangzhou.aliyuncs.com",
    ],
)
def test_what_is_no_name_of_a_bucket(name: str) -> None:
    """It becomes the first part of the host's name."""
    assert wrong(oss_bucket_name=name) == ["oss_bucket_name"]


@pytest.mark.parametrize("key_id", ["LTAI 5t", "LTAI/5t", "LTAI,5t", "é", "x" * 257])
def test_what_is_no_access_key(key_id: str) -> None:
    assert wrong(oss_access_key=key_id) == ["oss_access_key"]


def test_an_endpoint_is_not_read() -> None:
    """It follows from the region: a field of that name is as unknown as any other."""
    endpoint = "http://oss-cn-hangzhou-internal.aliyuncs.com@127.0.0.1"
    assert CATALOG.parse({**FIELDS, "oss_endpoint": endpoint, "endpoint": endpoint}) == CATALOG.parse(FIELDS)


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [
        ("", "https://demo-bucket.oss-cn-hangzhou.aliyuncs.com/a%20folder/a%2Bb.txt"),
        ("https://oss.corp.example", "https://oss.corp.example/demo-bucket/a%20folder/a%2Bb.txt"),
        ("https://{bucket}.corp.example:8443", "https://demo-bucket.corp.example:8443/a%20folder/a%2Bb.txt"),
        ("https://{bucket}.{region}.corp", "https://demo-bucket.oss-cn-hangzhou.corp/a%20folder/a%2Bb.txt"),
        ("https://{region}.corp.example", "https://oss-cn-hangzhou.corp.example/demo-bucket/a%20folder/a%2Bb.txt"),
    ],
)
async def test_where_a_bucket_is(endpoint: str, place: str) -> None:
    """At the vendor's, always in the host's name; at the operator's, where the endpoint says. For the region without oss-."""
    resolver = LeadingResolver({})
    settings = loopback(oss=endpoint) if endpoint else loopback()
    async with opened(oss.PROVIDER, FIELDS, settings, resolver=resolver) as bucket:
        with pytest.raises(EndpointUnreachable):
            await bucket.put("a folder/a+b.txt", BODY)
        assert isinstance(bucket, oss.OssBucket)
        url, _ = bucket._sign("PUT", "a folder/a+b.txt", BODY)
    assert url.partition("?")[0] == place
    assert resolver.asked == [urlsplit(place).hostname]
    assert "/cn-hangzhou/oss/aliyun_v4_request" in parse_qs(urlsplit(url).query)["x-oss-credential"][0]


async def test_one_put_and_one_delete_are_sent_and_nothing_else() -> None:
    async with (
        oss_server(USERS, BUCKETS, path_style=True) as server,
        opened(oss.PROVIDER, FIELDS, loopback(oss=server.url)) as bucket,
    ):
        await bucket.put("a+b", BODY)
        await bucket.delete("a+b")
    put, delete = server.requests
    assert [each.path.partition("?")[0] for each in (put, delete)] == ["/demo-bucket/a%2Bb"] * 2
    assert (put.method, put.body, put.headers["content-length"]) == ("PUT", b"content", "7")
    assert (delete.method, delete.body) == ("DELETE", b"")
    assert put.headers["content-md5"]
    assert not any(name.startswith("x-oss-") for name in put.headers)


@pytest.mark.parametrize(
    ("changed", "failure", "code", "hint"),
    [
        ({"oss_secret_key": "wrong"}, CredentialsRejected, "SignatureDoesNotMatch", "Check the access key"),
        ({"oss_access_key": "nobody"}, CredentialsRejected, "InvalidAccessKeyId", "Check the access key"),
        ({"oss_region_id": "oss-cn-shanghai"}, WrongRegion, "InvalidArgument", "Set the region"),
        ({"oss_bucket_name": "far-bucket"}, WrongRegion, "AccessDenied", "names oss-cn-shanghai as the region"),
        (READER, AccessDenied, "AccessDenied", "Give this key the right"),
    ],
)
async def test_the_refusals_of_the_strict_fake(
    changed: Mapping[str, str], failure: type[ProviderFailure], code: str, hint: str
) -> None:
    async with (
        oss_server(USERS, BUCKETS, path_style=True) as server,
        opened(oss.PROVIDER, {**FIELDS, **changed}, loopback(oss=server.url)) as bucket,
    ):
        with pytest.raises(failure) as refused:
            await bucket.put("key", BODY)
    assert refused.value.provider_code == code
    assert hint in refused.value.hint
    assert server.objects.get("demo-bucket", {}) == {}


@pytest.mark.parametrize(("minutes", "direction"), [(-30, "ahead of"), (30, "behind")])
async def test_a_clock_that_differs_is_noticed(minutes: int, direction: str) -> None:
    """By as much as a signature holds, either way."""
    async with oss_server(USERS, BUCKETS, path_style=True) as server:
        server.switches.clock_offset = timedelta(minutes=minutes)
        async with opened(oss.PROVIDER, FIELDS, loopback(oss=server.url)) as bucket:
            with pytest.raises(ClockSkew) as refused:
                await bucket.put("key", BODY)
    assert direction in refused.value.hint
    (seconds,) = re.findall(r" (\d+) seconds ", refused.value.hint)
    assert abs(int(seconds) - 1800) < 60


MISSING: Final = (answers.NO_SUCH_KEY, answers.INVALID_RANGE)
"""What only a reading is answered with, for which they are no failure of the storage's."""


@pytest.mark.parametrize(
    "error", [one for one in answers.ERRORS if one not in MISSING], ids=lambda error: f"{error.code}-{error.ec}"
)
async def test_whatever_the_vendor_says_comes_to_a_code_of_ours(error: answers.Error) -> None:
    """None of its words does."""
    async with oss_server(USERS, BUCKETS, path_style=True) as server:
        server.switches.error = error
        async with opened(oss.PROVIDER, FIELDS, loopback(oss=server.url)) as bucket:
            with pytest.raises(ProviderFailure) as refused:
                await bucket.put("key", BODY)
    shown = f"{refused.value} {refused.value.hint}"
    assert refused.value.provider_code == error.code
    assert error.message not in shown
    assert refused.value.code != "provider_error" or error.status >= 500 or error.code in OTHER


OTHER: Final = {
    *("InvalidDigest", "InvalidObjectName", "InvalidArgument", "EntityTooLarge"),
    *("InvalidPart", "InvalidPartOrder", "EntityTooSmall", "MalformedXML", "NoSuchUpload"),
}
"""What is neither the customer's fault nor the storage's: a fault of ours, if it ever comes."""


async def test_the_sdks_debug_log_is_off(caplog: pytest.LogCaptureFixture) -> None:
    """It holds the key id and what was signed, whatever level the operator gives to everything."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="oss2")
    async with (
        oss_server(USERS, BUCKETS, path_style=True) as server,
        opened(oss.PROVIDER, FIELDS, loopback(oss=server.url)) as bucket,
    ):
        await bucket.put("key", BODY)
        await bucket.abandon("key", {"upload": "A" * 32})
    assert not [record for record in caplog.records if "LTAI5tWriter" in record.getMessage()]
