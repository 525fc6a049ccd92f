"""Large objects over the S3 protocol: what is sent, and what is made of odd answers. The contract has the plain ones."""

import base64
import hashlib
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from consignee.body import BytesBody, FileBody
from consignee.demo.storage import StorageServer
from consignee.errors import (
    AccessDenied,
    BucketNotFound,
    EndpointRefused,
    NotAStorageService,
    ProviderError,
    ProviderFailure,
    RedirectRefused,
    WrongRegion,
)
from consignee.providers import Bucket, s3, s3compatible
from consignee.providers.base import Checkpoint
from consignee.settings import Settings
from consignee.transport import Parts
from fakes import hostile
from fakes.certificates import Authority
from fakes.multipart import BEGUN, UPLOAD, XML, Multipart, completed, refusal
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, Server, scripted
from providers.opening import S3_FIELDS, loopback, opened
from providers.test_s3_contract import tls_port, unfinished
from providers.test_s3_region import names_it_in_a_header, names_it_in_the_body, signed_region

PARTS = Parts(threshold=10, size=10, at_once=1, tries=2, pause=0.001)
CONTENT = bytes(range(25))
BODY = BytesBody(CONTENT)
ENTITIES = "".join(f'<!ENTITY e{number} "{f"&e{number - 1};" * 20}">' for number in range(1, 12))
BOMB = f'<!DOCTYPE a [<!ENTITY e0 "x">{ENTITIES}]><a><UploadId>&e11;</UploadId></a>'.encode()
PUT = ["begin", "part", "part", "part", "complete"]
EMPTY = hashlib.sha256(b"").hexdigest()
PART_MD5S = [hashlib.md5(CONTENT[start : start + 10]).hexdigest() for start in (0, 10, 20)]


def at(server: Server) -> AbstractAsyncContextManager[Bucket]:
    """Open a bucket at that server, which is the operator's endpoint."""
    return opened(s3.PROVIDER, S3_FIELDS, loopback(s3=server.url), parts=PARTS)


async def test_what_is_sent() -> None:
    """No list, no head, no checksum or trailer, no waiting for 100; and in the key nothing is read as something else."""
    multipart = Multipart()
    async with scripted(multipart) as server, at(server) as bucket:
        await bucket.put("a folder/a+b.txt", BODY)
    place = "/demo-bucket/a%20folder/a%2Bb.txt"
    upload = "uploadId=upload%2F1%2B2%3D%3D"
    assert [f"{request.method} {request.path}" for request in server.requests] == [
        f"POST {place}?uploads",
        *(f"PUT {place}?partNumber={number}&{upload}" for number in (1, 2, 3)),
        f"POST {place}?{upload}",
    ]
    assert [request.body for request in server.requests[:4]] == [b"", CONTENT[:10], CONTENT[10:20], CONTENT[20:]]
    parts = "".join(
        f'<Part><PartNumber>{number}</PartNumber><ETag>"{etag}"</ETag></Part>'
        for number, etag in enumerate(PART_MD5S, start=1)
    )
    assert server.requests[4].body.decode().endswith(f">{parts}</CompleteMultipartUpload>")
    always = {"host", "user-agent", "accept", "accept-encoding", "authorization", "x-amz-content-sha256", "x-amz-date"}
    for request in server.requests:
        assert set(request.headers) - {"content-md5"} == always | {"content-length", "content-type"}
        assert request.headers["user-agent"].startswith("consignee/")
        assert request.headers["x-amz-content-sha256"] == hashlib.sha256(request.body).hexdigest()
    assert server.requests[0].headers["content-type"] == "application/octet-stream"
    sent = [base64.b64decode(request.headers["content-md5"]).hex() for request in server.requests[1:4]]
    assert sent == PART_MD5S


async def test_over_https_neither_a_part_nor_a_call_is_chunked_or_signed_as_a_whole(ca: Authority) -> None:
    async with (
        scripted(Multipart(), tls=ca.server_context()) as server,
        opened(s3.PROVIDER, S3_FIELDS, loopback(ca=ca.pem, s3=server.url), parts=PARTS) as bucket,
    ):
        await bucket.put("key", BODY)
    for request in server.requests:
        assert request.headers["x-amz-content-sha256"] == ("UNSIGNED-PAYLOAD" if request.body else EMPTY)
        assert not {"transfer-encoding", "content-encoding", "expect"} & set(request.headers)


async def test_a_file_of_many_parts_arrives_whole(swift: StorageServer, ca: Authority, tmp_path: Path) -> None:
    """Over TLS, several at once, from a file."""
    content = random.Random(5).randbytes(40 * 65_536 + 1)
    path = tmp_path / "file"
    path.write_bytes(content)
    body = FileBody(path, len(content), hashlib.md5(content).digest(), hashlib.sha256(content).digest())
    settings = loopback(ca=ca.pem, s3=f"https://127.0.0.1:{tls_port(swift)}")
    parts = Parts(threshold=65_536, size=65_536, at_once=4)
    async with opened(s3.PROVIDER, S3_FIELDS, settings, parts=parts) as bucket:
        await bucket.put("many-parts", body)
    stored = await swift.read("test:tester", "demo-bucket", "many-parts")
    assert hashlib.sha256(stored).digest() == body.sha256


async def test_an_upload_is_seen_by_the_server_until_it_is_abandoned(swift: StorageServer) -> None:
    """What the contract takes for no unfinished upload would show one."""
    listed = unfinished(swift, "test:tester", "demo-bucket")
    async with opened(s3.PROVIDER, S3_FIELDS, loopback(s3=swift.url), parts=PARTS) as bucket:
        assert isinstance(bucket, s3.AmazonBucket)
        upload = await bucket.begin("begun")
        assert await listed() == ["begun"]
        await bucket.abandon("begun", {"upload": upload})
        assert await listed() == []


@pytest.mark.parametrize("call", ["begin", "part", "complete", "abort"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_call_follows_a_redirect(call: str, status: int) -> None:
    async with hostile.accepting() as elsewhere:
        multipart = Multipart()
        multipart.instead[call] = [Answer(status, {"Location": f"{elsewhere.url}/demo-bucket/key?uploads"})]
        async with scripted(multipart) as server, at(server) as bucket:
            with pytest.raises(RedirectRefused):
                await (bucket.abandon("key", {"upload": UPLOAD}) if call == "abort" else bucket.put("key", BODY))
        assert elsewhere.connections == 0
    assert multipart.steps.count(call) == 1


async def test_the_guard_stands_before_the_calls_too() -> None:
    """To an address that is not allowed, nothing is sent."""
    async with scripted(Multipart()) as server:
        endpoint = f"https://s3.example.com:{server.port}"
        fields = {**S3_FIELDS, "type": "s3compatible", "s3_endpoint": endpoint}
        resolver = FixedResolver({"s3.example.com": ["127.0.0.1"]})
        async with opened(s3compatible.PROVIDER, fields, Settings(), resolver=resolver, parts=PARTS) as bucket:
            with pytest.raises(EndpointRefused):
                await bucket.put("key", BODY)
        assert server.connections == 0


@pytest.mark.parametrize("naming", [names_it_in_the_body, names_it_in_a_header])
async def test_the_region_is_found_by_the_first_call_and_used_for_all(naming: Callable[[str], Answer]) -> None:
    multipart = Multipart()
    multipart.instead["begin"] = [naming("eu-west-1")]
    async with scripted(multipart) as server, at(server) as bucket:
        await bucket.put("key", BODY)
    assert bucket.found == {"region": "eu-west-1"}
    assert multipart.steps == ["begin", *PUT]
    assert [signed_region(request) for request in server.requests] == ["us-east-1"] + ["eu-west-1"] * 5


async def test_the_region_of_a_real_server_is_found(swift_eu: StorageServer) -> None:
    async with opened(s3.PROVIDER, S3_FIELDS, loopback(s3=swift_eu.url), parts=PARTS) as bucket:
        await bucket.put("large-in-region", BODY)
    assert bucket.found == {"region": "eu-west-1"}
    assert await swift_eu.read("test:tester", "demo-bucket", "large-in-region") == CONTENT


async def test_regions_that_point_at_each_other_are_not_followed_round() -> None:
    multipart = Multipart()
    multipart.instead["begin"] = [names_it_in_the_body("r-1"), names_it_in_the_body("r-2")]
    async with scripted(multipart) as server, at(server) as bucket:
        with pytest.raises(WrongRegion):
            await bucket.put("key", BODY)
    assert multipart.steps == ["begin", "begin"]


async def test_a_completion_that_fails_after_its_200_is_a_failure() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html"""
    multipart = Multipart()
    multipart.instead["complete"] = [refusal("InternalError", 200), refusal("InternalError", 200)]
    async with scripted(multipart) as server, at(server) as bucket:
        with pytest.raises(ProviderError) as failed:
            await bucket.put("key", BODY)
    assert failed.value.provider_code == "InternalError"
    assert multipart.steps == [*PUT, "complete", "abort"]


async def test_a_completion_that_failed_once_is_asked_for_again() -> None:
    multipart = Multipart()
    multipart.instead["complete"] = [refusal("InternalError", 200)]
    async with scripted(multipart) as server, at(server) as bucket:
        await bucket.put("key", BODY)
    assert multipart.steps == [*PUT, "complete"]


async def test_white_space_before_the_answer_is_no_part_of_it() -> None:
    multipart = Multipart()
    multipart.instead["complete"] = [Answer(200, XML, b" \n \n<?xml version='1.0'?>\n \n" + completed("any"))]
    async with scripted(multipart) as server, at(server) as bucket:
        await bucket.put("key", BODY)
    assert multipart.steps == PUT


async def test_headers_that_make_no_sense_are_not_read() -> None:
    multipart = Multipart(headers={"x-amz-expiration": "\x80", "x-amz-server-side-encryption-bucket-key-enabled": "?"})
    multipart.instead["begin"] = [Answer(200, {"x-amz-abort-date": "some day", **XML}, BEGUN.encode())]
    async with scripted(multipart) as server, at(server) as bucket:
        await bucket.put("key", BODY)
    assert multipart.steps == PUT


async def test_a_completion_whose_answer_got_lost_counts_as_done() -> None:
    multipart = Multipart()
    multipart.instead["complete"] = [Answer(raw=_nothing()), refusal("NoSuchUpload", 404)]
    async with scripted(multipart) as server, at(server) as bucket:
        await bucket.put("key", BODY)
    assert multipart.steps == [*PUT, "complete"]


async def _nothing() -> AsyncGenerator[bytes, None]:
    yield b""


async def test_an_upload_that_lost_a_part_is_aborted_and_can_be_repeated() -> None:
    """Going on with it would fail for ever."""
    multipart, checkpoint = Multipart(), Checkpoint()
    multipart.instead["complete"] = [refusal("InvalidPart")]
    async with scripted(multipart) as server, at(server) as bucket:
        with pytest.raises(ProviderError):
            await bucket.put("key", BODY, checkpoint)
        assert set(multipart.steps[len(PUT) :]) == {"abort"}
        assert checkpoint.state == {}
        await bucket.put("key", BODY, checkpoint)


async def test_an_upload_that_the_storage_has_forgotten_begins_anew() -> None:
    multipart = Multipart()
    multipart.instead["part"] = [refusal("NoSuchUpload", 404)]
    state = {"upload": "old", "key": "key", "sha256": BODY.sha256.hex(), "size": 10, "tags": {"1": PART_MD5S[0]}}
    async with scripted(multipart) as server, at(server) as bucket:
        await bucket.put("key", BODY, Checkpoint(state))
    assert multipart.steps == ["part", "abort", *PUT]


async def test_a_strange_answer_to_an_abort_is_a_failure_and_hides_no_other() -> None:
    """With a checkpoint, which somebody else abandons, and without one."""
    multipart, checkpoint = Multipart(), Checkpoint()
    multipart.instead["part"] = [refusal("AccessDenied", 403)] * 2
    multipart.instead["abort"] = [Answer(202, {}, b"queued")] * 2
    async with scripted(multipart) as server, at(server) as bucket:
        with pytest.raises(AccessDenied):
            await bucket.put("key", BODY)
        with pytest.raises(AccessDenied):
            await bucket.put("key", BODY, checkpoint)
        with pytest.raises(NotAStorageService):
            await bucket.abandon("key", checkpoint.state)
    assert multipart.steps == ["begin", "part", "abort"] * 2


async def test_an_etag_of_256_characters_is_kept() -> None:
    multipart, checkpoint = Multipart(), Checkpoint()
    multipart.instead["part"] = [Answer(200, {"ETag": f'"{"e" * 256}"'}), refusal("AccessDenied", 403)]
    async with scripted(multipart) as server, at(server) as bucket:
        with pytest.raises(AccessDenied):
            await bucket.put("key", BODY, checkpoint)
    assert checkpoint.state["tags"] == {"1": "e" * 256}


@pytest.mark.parametrize("code", ["NoSuchBucket", "NoSuchUpload"])
async def test_a_refusal_to_abort_is_one_unless_there_is_nothing(code: str) -> None:
    multipart = Multipart()
    multipart.instead["abort"] = [refusal(code, 404)]
    async with scripted(multipart) as server, at(server) as bucket:
        try:
            await bucket.abandon("key", {"upload": UPLOAD})
        except BucketNotFound:
            assert code == "NoSuchBucket"
        else:
            assert code == "NoSuchUpload"


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        ("begin", Answer(200, {"Content-Type": "text/html"}, hostile.HTML)),
        ("begin", Answer(200, {}, b"")),
        ("begin", Answer(200, XML, b"<InitiateMultipartUploadResult/>")),
        ("begin", Answer(200, XML, f"<A><UploadId>{'x' * 3000}</UploadId></A>".encode())),
        ("begin", Answer(200, XML, b"<InitiateMultipartUploadResult><UploadId>x")),
        ("begin", Answer(200, XML, BOMB)),
        ("begin", Answer(200, XML, b"\xff\xfe\x00<")),
        ("begin", Answer(202, {}, b"queued")),
        ("begin", Answer(206, {}, b'{"error": 1}')),
        ("begin", refusal("NoSuchUpload", 404)),
        ("begin", refusal("NoSuchUpload", 200)),
        ("begin", refusal("InvalidPart")),
        ("part", Answer(200, {"Content-Type": "text/html"}, hostile.HTML)),
        ("part", Answer(200, {"ETag": f'"{"e" * 257}"'})),
        ("complete", Answer(200, {"Content-Type": "text/html"}, hostile.HTML)),
        ("complete", Answer(200, XML, b"<CompleteMultipartUploadResult/>")),
        ("complete", Answer(202, {}, b"queued")),
    ],
)
async def test_what_is_not_said_as_a_storage_says_it_is_no_success(call: str, answer: Answer) -> None:
    multipart = Multipart()
    multipart.instead[call] = [answer]
    async with scripted(multipart) as server, at(server) as bucket:
        with pytest.raises(NotAStorageService):
            await bucket.put("key", BODY)


@pytest.mark.parametrize(("call", "status"), [("begin", 200), ("begin", 400), ("complete", 200), ("part", 400)])
async def test_what_a_refusal_repeats_of_the_key_id_goes_no_further(call: str, status: int) -> None:
    multipart = Multipart()
    multipart.instead[call] = [refusal("test:tester", status, Region="test:tester", RequestId="test:tester")] * 2
    async with scripted(multipart) as server, at(server) as bucket:
        with pytest.raises(ProviderFailure) as failed:
            await bucket.put("key", BODY)
    failure = failed.value
    shown = [str(failure), repr(failure), failure.hint, failure.provider_code, failure.provider_request_id]
    assert "test:tester" not in str([*shown, failure.__cause__, bucket.found])
