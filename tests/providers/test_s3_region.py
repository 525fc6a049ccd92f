"""How the region of a bucket at Amazon is found, and that nothing else is taken for one."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from consignee.body import BytesBody
from consignee.demo.storage import StorageServer
from consignee.errors import WrongRegion
from consignee.providers import Bucket, s3
from consignee.testing.bodies import StreamedBody
from fakes import hostile
from fakes.resolver import FixedResolver
from fakes.scripted import Answer, Request, Server, scripted
from providers.opening import S3_FIELDS, loopback, opened

BODY = BytesBody(b"content")
MALFORMED = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message>{}</Error>"
HOSTILE_REGIONS = ["x.evil.com/#", "a/b", "a@b", "a b", "a:1", "é", ".", "..", "-a", "%2f", "a" * 300, "a\\b", "<b>"]


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


async def test_uploads_at_once_all_find_the_region() -> None:
    async with scripted(in_region("eu-west-1", names_it_in_the_body)) as server, at(server) as bucket:
        await asyncio.gather(*(bucket.put(f"key {number}", BODY) for number in range(5)))
        await bucket.put("another", BODY)
    regions = [signed_region(request) for request in server.requests]
    assert sorted(regions) == ["eu-west-1"] * 6 + ["us-east-1"] * 5


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
