"""That the fake OSS accepts what the vendor's own SDK signs, and keeps what it is sent."""

import asyncio
import hashlib
import re
from datetime import timedelta

import aiohttp
import oss2
import pytest
from yarl import URL

from canaries import OSS_SECRET
from fakes import oss_answers as answers
from fakes.certificates import Authority
from fakes.oss import Oss, oss_server
from fakes.oss_client import BUCKETS, USERS, WRITER, Seen, assert_refused, send, url_of
from fakes.scripted import Request

ODD_KEYS = [
    "plain",
    "with space/and  two",
    "a+b",
    "100%",
    "%41",
    "Übergrößenträger/数据.csv",
    "~tilde",
    ".leading",
    "a/.b/..c",
    "a//b",
    "q?x=1&y#z",
    "(paren)'*!;=@$,:",
    "back\\slash",
    "trailing/",
]


async def replay(client: aiohttp.ClientSession, oss: Oss, request: Request, **changed: str) -> Seen:
    """Send a request again as it was, but for some headers; `_` stands for `-` in their names."""
    headers = dict(request.headers) | {name.replace("_", "-"): value for name, value in changed.items()}
    return await send(client, request.method, oss.url + request.path, request.body, headers)


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_what_the_sdk_signs_is_accepted(client: aiohttp.ClientSession, oss: Oss, key: str) -> None:
    body = key.encode()
    put = await send(client, "PUT", url_of(oss, "PUT", key), body)
    assert (put.status, put.headers["ETag"]) == (200, f'"{hashlib.md5(body).hexdigest().upper()}"')
    assert put.headers["x-oss-request-id"]
    assert oss.objects == {"a-bucket": {key: body}}
    deleted = await send(client, "DELETE", url_of(oss, "DELETE", key))
    assert deleted.status == 204
    assert oss.objects == {"a-bucket": {}}


async def test_objects_are_replaced_may_be_empty_and_absent(client: aiohttp.ClientSession, oss: Oss) -> None:
    for body in (b"first", b""):
        assert (await send(client, "PUT", url_of(oss), body)).status == 200
        assert oss.objects["a-bucket"] == {"dir/file.txt": body}
    assert (await send(client, "DELETE", url_of(oss, "DELETE", "never was"))).status == 204
    assert [request.method for request in oss.requests] == ["PUT", "PUT", "DELETE"]


@pytest.mark.parametrize("slash", ["/", "%2F"])
async def test_a_slash_may_be_encoded(client: aiohttp.ClientSession, oss: Oss, slash: str) -> None:
    seen = await send(client, "PUT", url_of(oss).replace("dir/file.txt", f"dir{slash}file.txt"))
    assert seen.status == 200
    assert list(oss.objects["a-bucket"]) == ["dir/file.txt"]


@pytest.mark.parametrize("host", ["oss-cn-hangzhou.localhost", "storage.localhost"])
async def test_a_bucket_may_be_in_the_host(client: aiohttp.ClientSession, host: str) -> None:
    async with oss_server(USERS, BUCKETS) as oss:
        url = url_of(oss, endpoint=f"http://{host}:{oss.port}")
        assert url.startswith(f"http://a-bucket.{host}:{oss.port}/dir/file.txt?")
        assert (await send(client, "PUT", url, b"data")).status == 200
        assert oss.objects == {"a-bucket": {"dir/file.txt": b"data"}}
        assert_refused(await send(client, "PUT", url_of(oss)), answers.SECOND_LEVEL_DOMAIN)


async def test_it_speaks_tls(client: aiohttp.ClientSession, ca: Authority) -> None:
    async with oss_server(USERS, BUCKETS, path_style=True, tls=ca.server_context()) as oss:
        assert oss.url.startswith("https://")
        signed = {"Content-Type": "application/octet-stream"}
        url = URL(url_of(oss, headers=signed), encoded=True)
        async with client.put(url, data=b"data", headers=signed, ssl=ca.client_context()) as response:
            assert response.status == 200
    assert oss.objects == {"a-bucket": {"dir/file.txt": b"data"}}


async def test_the_sdk_itself_is_accepted(client: aiohttp.ClientSession, oss: Oss) -> None:
    """It signs in the header; the same request is refused with any signed part changed, and hours later."""
    session = oss2.Session()
    session.session.trust_env = False  # nor does anybody else here go through a proxy of the environment
    auth = oss2.AuthV4(WRITER, OSS_SECRET)
    bucket = oss2.Bucket(auth, oss.url, "a-bucket", region="cn-hangzhou", is_path_style=True, session=session)
    headers = {"x-oss-meta-color": "blue", "Content-Type": "text/plain"}
    await asyncio.to_thread(bucket.put_object, "dir/ü +%", b"data", headers)
    session.session.close()
    assert oss.objects == {"a-bucket": {"dir/ü +%": b"data"}}
    request = oss.requests[0]
    assert request.headers["authorization"].startswith("OSS4-HMAC-SHA256 Credential=LTAI-writer/")
    assert (await replay(client, oss, request)).status == 200
    for name, value in {"x_oss_meta_color": "red", "content_type": "a/b", "x_oss_meta_more": "1"}.items():
        assert_refused(await replay(client, oss, request, **{name: value}), answers.SIGNATURE_DOES_NOT_MATCH)
    unsigned = await replay(client, oss, request, x_oss_content_sha256=hashlib.sha256(b"data").hexdigest())
    assert_refused(unsigned, answers.INVALID_ARGUMENT)
    assert unsigned.element("ArgumentName") == "x-oss-content-sha256"
    for minutes in (16, -16):
        oss.switches.clock_offset = timedelta(minutes=minutes)
        skewed = await replay(client, oss, request)
        assert_refused(skewed, answers.REQUEST_TIME_TOO_SKEWED)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", skewed.element("ServerTime"))


async def test_signed_headers_must_arrive_as_signed(client: aiohttp.ClientSession, oss: Oss) -> None:
    signed = {"Content-Type": "text/csv", "x-oss-meta-color": "blue", "Host": f"127.0.0.1:{oss.port}", "X-Mine": "1"}
    url = url_of(oss, headers=signed)
    assert "x-oss-additional-headers=host%3Bx-mine&" in url
    assert (await send(client, "PUT", url, b"data", signed)).status == 200
    changed = [signed | {name: "other"} for name in signed if name != "Host"]
    for headers in (*changed, {}, signed | {"x-oss-meta-more": "1"}, signed | {"Content-MD5": "AAAA"}):
        assert_refused(await send(client, "PUT", url, b"data", headers), answers.SIGNATURE_DOES_NOT_MATCH)
    assert (await send(client, "PUT", url, b"data", signed | {"Cache-Control": "no-cache"})).status == 200


async def test_a_content_type_that_was_not_signed_is_refused(client: aiohttp.ClientSession, oss: Oss) -> None:
    """The one that aiohttp adds by itself is such."""
    async with client.put(URL(url_of(oss), encoded=True), data=b"data") as response:
        assert response.status == 403
    assert oss.objects == {}
