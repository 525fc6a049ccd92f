"""The S3 server of the chaos tests refuses what S3 refuses, above all what is not rightly signed."""

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from consignee.providers.sigv4 import EMPTY_SHA256
from fakes.chaos_answers import Refusal
from fakes.chaos_client import ChaosClient, chaos_client
from fakes.chaos_process import ChaosServer, chaos_process
from fakes.chaos_signature import Verifier
from fakes.scripted import Request


@pytest.fixture(scope="module")
def server() -> Iterator[ChaosServer]:
    """One server for all tests, whose buckets are each test's own."""
    with chaos_process("bucket-*") as server:
        yield server


@pytest.fixture
async def client(server: ChaosServer) -> AsyncIterator[ChaosClient]:
    """A client with the right key."""
    async with chaos_client(server) as client:
        yield client


def code(body: bytes) -> str:
    """Return the code in an error document."""
    return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


async def test_takes_a_body_that_is_not_signed_but_only_the_one_that_its_md5_promises(client: ChaosClient) -> None:
    path = "/bucket-md5/a"
    for content, status in ((b"hello", 200), (b"jello", 400)):
        digest = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
        headers = client.signed("PUT", path, headers={"Content-MD5": digest}, payload="UNSIGNED-PAYLOAD")
        answer = await client.send("PUT", path, content, headers)
        assert (answer.status, code(answer.body)) == (status, "" if status == 200 else "BadDigest")


@pytest.mark.parametrize(
    ("key_id", "secret", "expected"),
    [("", "another", (403, "SignatureDoesNotMatch")), ("unknown", "", (403, "InvalidAccessKeyId"))],
)
async def test_refuses_another_key(server: ChaosServer, key_id: str, secret: str, expected: tuple[int, str]) -> None:
    async with chaos_client(server, key_id=key_id, secret=secret) as client:
        answer = await client.send("PUT", "/bucket-refused/a", b"hello")
    assert (answer.status, code(answer.body)) == expected
    assert "bucket-refused/a" not in server.state().objects


async def test_refuses_what_was_changed_after_it_was_signed(server: ChaosServer, client: ChaosClient) -> None:
    path = "/bucket-changed/a?x=1"
    headers = client.signed("PUT", path, b"hello", headers={"Content-Type": "text/csv", "x-amz-meta-a": "1"})
    mismatch = (403, "SignatureDoesNotMatch")
    for changed, body, where, expected in (
        (headers, b"jello", path, (400, "XAmzContentSHA256Mismatch")),
        ({**headers, "Content-Type": "text/html"}, b"hello", path, mismatch),
        ({**headers, "x-amz-meta-a": "2"}, b"hello", path, mismatch),
        ({**headers, "x-amz-meta-b": "2"}, b"hello", path, (403, "AccessDenied")),
        (headers, b"hello", "/bucket-changed/b?x=1", mismatch),
        (headers, b"hello", "/bucket-changed/a?x=2", mismatch),
        ({}, b"hello", path, (403, "AccessDenied")),
    ):
        answer = await client.send("PUT", where, body, changed)
        assert (answer.status, code(answer.body)) == expected
    assert not [name for name in server.state().objects if name.startswith("bucket-changed/")]
    assert (await client.send("PUT", path, b"hello", headers)).status == 200


async def test_refuses_another_region_and_names_its_own(client: ChaosClient) -> None:
    headers = client.signed("PUT", "/bucket-region/a", b"hello", region="eu-west-1")
    answer = await client.send("PUT", "/bucket-region/a", b"hello", headers)
    assert (answer.status, code(answer.body)) == (400, "AuthorizationHeaderMalformed")
    assert b"<Region>us-east-1</Region>" in answer.body


@pytest.mark.parametrize(("minutes", "skewed"), [(15, False), (-15, False), (16, True), (-16, True)])
async def test_a_quarter_of_an_hour_is_the_most_that_clocks_may_differ(
    server: ChaosServer, client: ChaosClient, minutes: int, skewed: bool
) -> None:
    headers = client.signed("DELETE", "/bucket-skew/a")
    lower = {name.lower(): value for name, value in headers.items()} | {"host": urlsplit(server.url).netloc}
    now = datetime.strptime(lower["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) + timedelta(minutes=minutes)
    verifier = Verifier({server.key_id: server.secret}, now=lambda: now)
    with pytest.raises(Refusal, match="RequestTimeTooSkewed") if skewed else nullcontext():
        assert verifier.check(Request("DELETE", "/bucket-skew/a", lower, b"")) == EMPTY_SHA256


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("PUT", "/another/a", (404, "NoSuchBucket")),
        ("GET", "/bucket-a/a", (405, "MethodNotAllowed")),
        ("PUT", "/bucket-a", (405, "MethodNotAllowed")),
        ("PUT", f"/bucket-a/{1025 * 'a'}", (400, "KeyTooLongError")),
    ],
)
async def test_refuses_what_is_not_there(
    client: ChaosClient, method: str, path: str, expected: tuple[int, str]
) -> None:
    answer = await client.send(method, path)
    assert (answer.status, code(answer.body)) == expected
