"""What is special about Amazon S3: how a bucket is named, how its region is found, and exactly what is sent."""

import base64
import hashlib
import re
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from consignee.body import BytesBody
from consignee.demo.storage import StorageServer
from consignee.errors import CredentialsRejected, MissingExtra, NotAStorageService, ProviderFailure
from consignee.providers import Bucket, s3, sigv4
from consignee.providers.s3 import at_amazon
from consignee.secret import Secret
from consignee.testing.bodies import StreamedBody
from fakes import hostile
from fakes.certificates import Authority
from fakes.scripted import Server
from providers.opening import S3_FIELDS, loopback, opened

BODY = BytesBody(b"content")
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


async def test_without_aiobotocore_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore", None)
    with pytest.raises(MissingExtra, match=r"pip install 'consignee\[s3\]'"):
        await sigv4.Signer.load("id", Secret("secret"), extra="s3")
