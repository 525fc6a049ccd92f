"""That the fake OSS accepts what the vendor's own SDK signs, and nothing else."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import aiohttp
import oss2
import pytest
from yarl import URL

from fakes import oss_answers as answers
from fakes.certificates import Authority
from fakes.oss import Oss, oss_server
from fakes.oss_access import User
from fakes.oss_answers import Error
from fakes.resolver import FixedResolver
from fakes.scripted import Request

WRITER = "LTAI-writer"
USERS = {
    WRITER: User("writer-secret"),
    "LTAI-reader": User("reader-secret", may_put=False, may_delete=False),
    "LTAI-nodelete": User("nodelete-secret", may_delete=False),
    "LTAI-arrears": User("arrears-secret", disabled=True),
    "LTAI-inactive": User("inactive-secret", inactive=True),
}
BUCKETS = {"a-bucket": "cn-hangzhou", "far-bucket": "cn-shanghai"}
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


@dataclass(frozen=True)
class Seen:
    """An answer as the client saw it."""

    status: int
    headers: Mapping[str, str]
    body: str

    def element(self, name: str) -> str:
        """Return the text of an element of the body, "" if there is none."""
        found = re.search(f"<{name}>(.*?)</{name}>", self.body, re.DOTALL)
        return found[1] if found else ""


def url_of(
    oss: Oss,
    method: str = "PUT",
    key: str = "dir/file.txt",
    *,
    key_id: str = WRITER,
    secret: str | None = None,
    bucket: str = "a-bucket",
    endpoint: str | None = None,
    region: str = "cn-hangzhou",
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    expires: int = 600,
) -> str:
    """Return a URL signed by the vendor's SDK; headers are all signed."""
    auth = oss2.AuthV4(key_id, USERS[key_id].secret if secret is None else secret)
    opened = oss2.Bucket(auth, endpoint or oss.url, bucket, region=region, is_path_style=oss.path_style)
    given, names = dict(headers or {}), [name.lower() for name in headers or {}]
    url = opened.sign_url(
        method, key, expires, headers=given, params=dict(params or {}), slash_safe=True, additional_headers=names
    )
    assert isinstance(url, str)
    return url


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client for which all names below localhost are this machine."""
    connector = aiohttp.TCPConnector(resolver=FixedResolver({"*.localhost": ["127.0.0.1"]}))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
async def oss() -> AsyncIterator[Oss]:
    """A server for paths."""
    async with oss_server(USERS, BUCKETS, path_style=True) as server:
        yield server


async def send(
    client: aiohttp.ClientSession, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Seen:
    """Send exactly this; without the Content-Type that aiohttp would add, and which would be part of the signature."""
    async with client.request(
        method,
        URL(url, encoded=True),
        data=body,
        headers=headers,
        skip_auto_headers=["Content-Type"],
        allow_redirects=False,
    ) as response:
        return Seen(response.status, dict(response.headers), await response.text())


async def replay(client: aiohttp.ClientSession, oss: Oss, request: Request, **changed: str) -> Seen:
    """Send a request again as it was, but for some headers; `_` stands for `-` in their names."""
    headers = dict(request.headers) | {name.replace("_", "-"): value for name, value in changed.items()}
    return await send(client, request.method, oss.url + request.path, request.body, headers)


def assert_refused(seen: Seen, error: Error) -> None:
    """Check status, code and words, and that the request can be named to the vendor."""
    assert (seen.status, seen.element("Code"), seen.element("Message")) == (error.status, error.code, error.message)
    assert seen.element("RequestId") == seen.headers["x-oss-request-id"]
    assert seen.headers["Content-Type"] == "application/xml"


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
        async with client.put(URL(url_of(oss), encoded=True), ssl=ca.client_context()) as response:
            assert response.status == 200
    assert list(oss.objects["a-bucket"]) == ["dir/file.txt"]


async def test_the_sdk_itself_is_accepted(client: aiohttp.ClientSession, oss: Oss) -> None:
    """It signs in the header; the same request is refused with any signed part changed, and hours later."""
    session = oss2.Session()
    auth = oss2.AuthV4(WRITER, "writer-secret")
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
    assert_refused(await send(client, "GET", url_of(oss, "GET")), answers.METHOD_NOT_ALLOWED)


async def test_a_mismatch_shows_what_was_expected(client: aiohttp.ClientSession, oss: Oss) -> None:
    """As the vendor's does, so that a provider's handling of such a body is tested; never the secret."""
    seen = await send(client, "PUT", url_of(oss, secret="wrong"))
    assert_refused(seen, answers.SIGNATURE_DOES_NOT_MATCH)
    assert seen.element("OSSAccessKeyId") == WRITER
    assert seen.element("StringToSign").startswith("OSS4-HMAC-SHA256\n")
    assert seen.element("CanonicalRequest").startswith("PUT\n/a-bucket/dir/file.txt\n")
    assert "writer-secret" not in seen.body


async def test_another_body_than_the_digest_says_is_refused(client: aiohttp.ClientSession, oss: Oss) -> None:
    digest = base64.b64encode(hashlib.md5(b"data").digest()).decode()
    headers = {"Content-MD5": digest}
    url = url_of(oss, headers=headers)
    assert_refused(await send(client, "PUT", url, b"dada", headers), answers.INVALID_DIGEST)
    assert oss.objects == {"a-bucket": {}}
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
    client: aiohttp.ClientSession, oss: Oss, method: str, arguments: dict[str, str], error: Error
) -> None:
    assert_refused(await send(client, method, url_of(oss, method, **arguments)), error)  # type: ignore[arg-type]
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
        bucket = oss2.Bucket(old(WRITER, "writer-secret"), oss.url, "a-bucket", is_path_style=True)
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
    broken = await send(client, "PUT", f"{oss.url}/a-bucket/k", headers={"Authorization": "OSS4-HMAC-SHA256 nothing"})
    assert_refused(broken, answers.INVALID_ARGUMENT)


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
