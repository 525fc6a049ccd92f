"""What is special about Amazon S3: how a bucket is named, how its region is found, and exactly what is sent."""

import base64
import hashlib
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from consignee.body import BytesBody
from consignee.demo.storage import StorageServer
from consignee.errors import CredentialsRejected, MissingExtra, NotAStorageService, ProviderFailure, WrongRegion
from consignee.providers import Bucket, s3, sigv4
from consignee.providers.s3 import at_amazon
from consignee.secret import Secret
from fakes import hostile
from fakes.certificates import Authority
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, Request, Server, scripted
from providers.contract import StreamedBody
from providers.opening import S3_FIELDS, loopback, opened

BODY = BytesBody(b"content")
MALFORMED = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message>{}</Error>"
HOSTILE_REGIONS = ["x.evil.com/#", "a/b", "a@b", "a b", "a:1", "é", ".", "..", "-a", "%2f", "a" * 300, "a\\b", "<b>"]
FOREIGN = {
    "AWS_ACCESS_KEY_ID": "AKIAOPERATOROPERATOR",
    "AWS_SECRET_ACCESS_KEY": "the-operators-own",
    "AWS_SESSION_TOKEN": "the-operators-token",
    "AWS_PROFILE": "operator",
    "AWS_REGION": "ap-south-1",
    "AWS_DEFAULT_REGION": "ap-south-1",
}


def at(server: Server) -> AbstractAsyncContextManager[Bucket]:
    """Open a bucket at that server, which is the operator's endpoint."""
    return opened(s3.PROVIDER, S3_FIELDS, loopback(s3=server.url))


def signed_region(request: Request) -> str:
    """Return the region that a request was signed for."""
    match = re.search(r"Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request", request.headers["authorization"])
    assert match is not None
    return match[1]


def in_region(region: str, refusal: Callable[[str], Answer]) -> Callable[[Request], Answer]:
    """Return a storage of one region: what is signed for another gets the refusal."""
    return lambda request: hostile.as_storage(request) if signed_region(request) == region else refusal(region)


def names_it_in_the_body(region: str) -> Answer:
    """As Amazon answers to a signature for another region."""
    return Answer(400, {}, MALFORMED.format(f"<Region>{region}</Region>").encode())


def names_it_in_a_header(region: str) -> Answer:
    """As Amazon answers at the endpoint of another region."""
    body = b"<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.example.com</Endpoint></Error>"
    return Answer(301, {"x-amz-bucket-region": region}, body)


async def test_one_put_and_one_delete_are_sent_and_nothing_else() -> None:
    """No list, no head, no checksum or trailer, no waiting for 100: each of them fails at some look-alike."""
    async with hostile.accepting() as server, at(server) as bucket:
        await bucket.put("a folder/a+b.txt", BODY)
        await bucket.delete("a folder/a+b.txt")
    sent = [(request.method, request.path, request.body) for request in server.requests]
    assert sent == [
        ("PUT", "/demo-bucket/a%20folder/a%2Bb.txt", b"content"),
        ("DELETE", "/demo-bucket/a%20folder/a%2Bb.txt", b""),
    ]
    always = {"host", "user-agent", "accept", "accept-encoding"}
    signature = {"authorization", "x-amz-content-sha256", "x-amz-date"}
    put, delete = (set(request.headers) for request in server.requests)
    assert put == always | signature | {"content-length", "content-md5", "content-type"}
    assert delete - {"content-length", "content-type"} == always | signature
    assert server.requests[0].headers["content-length"] == "7"


async def test_the_md5_and_over_http_the_digest_are_sent() -> None:
    async with hostile.accepting() as server, at(server) as bucket:
        await bucket.put("key", BODY)
        await bucket.delete("key")
    put, delete = server.requests
    assert base64.b64decode(put.headers["content-md5"]) == hashlib.md5(b"content").digest()
    assert put.headers["x-amz-content-sha256"] == hashlib.sha256(b"content").hexdigest()
    assert delete.headers["x-amz-content-sha256"] == hashlib.sha256(b"").hexdigest()
    assert "content-md5;content-type;host;x-amz-content-sha256;x-amz-date" in put.headers["authorization"]


async def test_over_https_the_payload_is_not_signed(ca: Authority) -> None:
    """TLS guards it, so that a large file need not be read twice."""
    async with (
        hostile.accepting(tls=ca.server_context()) as server,
        opened(s3.PROVIDER, S3_FIELDS, loopback(ca=ca.pem, s3=server.url)) as bucket,
    ):
        await bucket.put("key", StreamedBody(b"con", b"tent"))
    (put,) = server.requests
    assert put.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert base64.b64decode(put.headers["content-md5"]) == hashlib.md5(b"content").digest()
    assert put.body == b"content"
    assert put.headers["content-length"] == "7"
    assert "transfer-encoding" not in put.headers


async def test_the_operators_own_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its keys nor its endpoints nor its proxies: with them, a customer would act in the operator's name."""

    async def sent(url: str) -> Mapping[str, str]:
        async with opened(s3.PROVIDER, S3_FIELDS, loopback(s3=url)) as bucket:
            await bucket.put("key", BODY)
        headers = server.requests[-1].headers
        return {name: re.sub(r"\d{8}|Signature=.*", "", value) for name, value in headers.items() if "date" not in name}

    async with hostile.accepting() as server, hostile.accepting() as elsewhere:
        before = await sent(server.url)
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, elsewhere.url)
        for name, value in FOREIGN.items():
            monkeypatch.setenv(name, value)
        assert await sent(server.url) == before
        assert elsewhere.connections == 0
    assert "Credential=test:tester//us-east-1/s3/aws4_request" in before["authorization"]


@pytest.mark.parametrize("refusal", [names_it_in_the_body, names_it_in_a_header])
async def test_the_region_is_found_and_remembered(refusal: Callable[[str], Answer]) -> None:
    """One more request, once: not for what follows in the same bucket, nor when it is opened again."""
    async with scripted(in_region("eu-west-1", refusal)) as server:
        settings = loopback(s3=server.url)
        async with opened(s3.PROVIDER, S3_FIELDS, settings) as bucket:
            await bucket.put("key", BODY)
            await bucket.delete("key")
        assert bucket.found == {"region": "eu-west-1"}
        assert [request.method for request in server.requests] == ["PUT", "PUT", "DELETE"]
        assert [request.body for request in server.requests] == [b"content", b"content", b""]
        async with opened(s3.PROVIDER, S3_FIELDS, settings, found=bucket.found) as again:
            await again.put("key", BODY)
        assert len(server.requests) == 4
    assert [signed_region(request) for request in server.requests] == ["us-east-1"] + ["eu-west-1"] * 3


async def test_the_region_of_a_real_server_is_found(swift_eu: StorageServer) -> None:
    async with opened(s3.PROVIDER, S3_FIELDS, loopback(s3=swift_eu.url)) as bucket:
        await bucket.put("found-region", BODY)
    assert bucket.found == {"region": "eu-west-1"}
    assert await swift_eu.read("test:tester", "demo-bucket", "found-region") == b"content"


async def test_a_delete_finds_the_region_too() -> None:
    """The sweeper's first request is one."""
    async with scripted(in_region("eu-west-1", names_it_in_the_body)) as server, at(server) as bucket:
        await bucket.delete("key")
    assert [signed_region(request) for request in server.requests] == ["us-east-1", "eu-west-1"]


async def test_a_streamed_body_is_sent_anew_to_the_right_region() -> None:
    body = StreamedBody(b"con", b"tent")
    async with scripted(in_region("eu-west-1", names_it_in_the_body)) as server, at(server) as bucket:
        await bucket.put("key", body)
    assert [request.body for request in server.requests] == [b"content", b"content"]
    assert body.offsets == [0, 0]


async def test_the_region_may_be_a_part_of_the_operators_endpoint() -> None:
    resolver = FixedResolver({"*.s3.localhost": ["127.0.0.1"]})
    async with scripted(in_region("eu-west-1", names_it_in_the_body)) as server:
        endpoint = f"http://{{bucket}}.{{region}}.s3.localhost:{server.port}"
        async with opened(s3.PROVIDER, S3_FIELDS, loopback(s3=endpoint), resolver=resolver) as bucket:
            await bucket.put("key", BODY)
    assert resolver.asked == ["demo-bucket.us-east-1.s3.localhost", "demo-bucket.eu-west-1.s3.localhost"]
    assert server.requests[1].headers["host"] == f"demo-bucket.eu-west-1.s3.localhost:{server.port}"
    assert server.requests[1].path == "/key"


async def test_regions_that_point_at_each_other_are_not_followed_round() -> None:
    """One retry and no more, whatever is named."""

    def elsewhere(request: Request) -> Answer:
        return names_it_in_the_body(f"r-{len(server.requests)}")

    async with scripted(elsewhere) as server, at(server) as bucket:
        with pytest.raises(WrongRegion) as failed:
            await bucket.put("key", BODY)
    assert len(server.requests) == 2
    assert "r-2" in failed.value.hint


async def test_the_same_region_again_is_no_reason_to_retry() -> None:
    async with scripted(lambda _: names_it_in_the_body("us-east-1")) as server, at(server) as bucket:
        with pytest.raises(WrongRegion):
            await bucket.put("key", BODY)
    assert len(server.requests) == 1
    assert bucket.found == {}


@pytest.mark.parametrize("region", HOSTILE_REGIONS)
@pytest.mark.parametrize("refusal", [names_it_in_the_body, names_it_in_a_header])
async def test_what_is_no_region_is_never_used(region: str, refusal: Callable[[str], Answer]) -> None:
    """It would become a part of a host's name."""
    async with scripted(lambda _: refusal(region)) as server, at(server) as bucket:
        with pytest.raises(WrongRegion) as failed:
            await bucket.put("key", BODY)
    assert len(server.requests) == 1
    assert bucket.found == {}
    assert failed.value.hint == WrongRegion.hint


@pytest.mark.parametrize(
    ("bucket", "region", "url"),
    [
        ("mine", "us-east-1", "https://mine.s3.us-east-1.amazonaws.com"),
        ("mine", "eu-west-1", "https://mine.s3.eu-west-1.amazonaws.com"),
        ("my.files", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/my.files"),
        ("mine", "cn-north-1", "https://mine.s3.cn-north-1.amazonaws.com.cn"),
        ("my.files", "cn-northwest-1", "https://s3.cn-northwest-1.amazonaws.com.cn/my.files"),
    ],
)
def test_where_a_bucket_is_at_amazon(bucket: str, region: str, url: str) -> None:
    assert at_amazon(bucket, "")(region) == url


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("https://s3.corp.example", "https://s3.corp.example/mine"),
        ("https://s3.corp.example:9000", "https://s3.corp.example:9000/mine"),
        ("https://{bucket}.s3.corp.example", "https://mine.s3.corp.example"),
        ("https://s3.{region}.corp.example", "https://s3.eu-west-1.corp.example/mine"),
        ("https://{bucket}.{region}.corp.example", "https://mine.eu-west-1.corp.example"),
    ],
)
def test_where_a_bucket_is_at_the_operators_endpoint(endpoint: str, url: str) -> None:
    assert at_amazon("mine", endpoint)("eu-west-1") == url


@pytest.mark.parametrize("etag", [None, "", '""', ' "" '])
async def test_a_success_without_an_etag_is_none(etag: str | None) -> None:
    """Any web server can say 200."""
    async with (
        hostile.answering(200, {"ETag": etag} if etag is not None else {"X": "y"}) as server,
        at(server) as bucket,
    ):
        with pytest.raises(NotAStorageService):
            await bucket.put("key", BODY)


async def test_an_ordinary_web_server_is_no_storage() -> None:
    async with hostile.html() as server, at(server) as bucket:
        with pytest.raises(NotAStorageService):
            await bucket.put("key", BODY)


async def test_what_is_gone_already_counts_as_deleted() -> None:
    """Some look-alikes say so with an error; another 404 is still one."""
    async with hostile.answering(404, None, b"<Error><Code>NoSuchKey</Code></Error>") as server, at(server) as bucket:
        await bucket.delete("key")
        with pytest.raises(ProviderFailure):
            await bucket.put("key", BODY)
    assert [request.method for request in server.requests] == ["DELETE", "PUT"]


@pytest.mark.parametrize("secret", ["abc def", " abcdef", "abcdef ", "abc\u00a0def"])
async def test_a_space_in_a_rejected_secret_is_pointed_at(swift: StorageServer, secret: str) -> None:
    """In a form body that was not escaped, a + arrives as a space."""
    fields = S3_FIELDS | {"s3_secret_access_key": secret}
    async with opened(s3.PROVIDER, fields, loopback(s3=swift.url)) as bucket:
        with pytest.raises(CredentialsRejected) as rejected:
            await bucket.put("key", BODY)
    assert "%2B" in rejected.value.hint
    assert secret not in rejected.value.hint


async def test_without_a_space_the_hint_is_the_usual_one(swift: StorageServer) -> None:
    fields = S3_FIELDS | {"s3_secret_access_key": "wrong"}
    async with opened(s3.PROVIDER, fields, loopback(s3=swift.url)) as bucket:
        with pytest.raises(CredentialsRejected) as rejected:
            await bucket.put("key", BODY)
    assert rejected.value.hint == CredentialsRejected.hint
    assert rejected.value.provider_code == "SignatureDoesNotMatch"
    assert rejected.value.provider_request_id


async def test_a_key_id_that_is_sent_back_goes_no_further() -> None:
    """An endpoint that puts it where its own code, id or region belongs would have it answered, logged and kept."""
    fields = S3_FIELDS | {"s3_access_key_id": "AKIACANARYCANARY"}
    body = b"<Error><Code>AKIACANARYCANARY</Code><Region>AKIACANARYCANARY</Region></Error>"
    headers = {"x-amz-request-id": "req-AKIACANARYCANARY", "x-amz-bucket-region": "AKIACANARYCANARY"}
    async with (
        hostile.answering(400, headers, body) as server,
        opened(s3.PROVIDER, fields, loopback(s3=server.url)) as bucket,
    ):
        with pytest.raises(ProviderFailure) as failed:
            await bucket.put("key", BODY)
    failure = failed.value
    shown = [str(failure), repr(failure), failure.hint, failure.provider_code, failure.provider_request_id]
    assert "AKIACANARYCANARY" not in str(shown)
    assert (len(server.requests), bucket.found) == (1, {})


async def test_without_botocore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(MissingExtra, match=r"pip install 'consignee\[s3\]'"):
        await sigv4.Signer.load("id", Secret("secret"), extra="s3")
