"""Sections of objects, as they are read: what a storage may answer, and what is learned from a refusal."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from consignee.body import BytesBody
from consignee.errors import (
    CredentialsRejected,
    NotAStorageService,
    ProviderFailure,
    RedirectRefused,
    WrongRegion,
)
from consignee.providers import Bucket, gcs, s3
from consignee.providers.base import Missing
from consignee.testing.readable import section_of
from fakes.google import Google, always
from fakes.google_answers import failure
from fakes.scripted import Answer, Request, Server, scripted
from providers.opening import S3_FIELDS, loopback, opened
from providers.test_gcs_contract import account_subject
from providers.test_s3_region import names_it_in_a_header, names_it_in_the_body, signed_region

CONTENT = bytes(range(200))


def at(server: Server) -> AbstractAsyncContextManager[Bucket]:
    """Open a bucket at that server, which is the operator's endpoint."""
    return opened(s3.PROVIDER, S3_FIELDS, loopback(s3=server.url))


def partly(first: int, last: int, told: str = "") -> Callable[[Request], Answer]:
    """Return a storage that gives these bytes, whatever it is asked for."""
    content = CONTENT[first : last + 1]
    return lambda _: Answer(206, {"Content-Range": told or f"bytes {first}-{last}/200"}, content)


@pytest.mark.parametrize(
    "answer",
    [
        partly(0, 99),
        partly(10, 99),
        partly(9, 99, "bytes */200"),
        partly(9, 99, "items 9-99/200"),
        lambda _: Answer(206, {}, CONTENT[10:]),
        lambda _: Answer(200, {}, CONTENT),
        lambda _: Answer(204, {}),
    ],
    ids=["before", "behind", "no range", "another unit", "untold", "all of it", "nothing"],
)
async def test_another_section_than_the_one_that_was_asked_for_is_none(answer: Callable[[Request], Answer]) -> None:
    async with scripted(answer) as server, at(server) as bucket:
        with pytest.raises(NotAStorageService, match="section of an object"):
            await section_of(bucket, "key", 9, 50)


@pytest.mark.parametrize(
    "answer",
    [partly(0, 99), partly(0, 199), lambda _: Answer(200, {}, CONTENT), partly(0, 49, "bytes 0-49/*")],
    ids=["more", "all", "whole", "of unknown length"],
)
async def test_what_is_more_than_was_asked_for_is_left_out(answer: Callable[[Request], Answer]) -> None:
    async with scripted(answer) as server, at(server) as bucket:
        assert await section_of(bucket, "key", 0, 50) == CONTENT[:50]


async def test_less_than_was_asked_for_is_missing() -> None:
    """Also if it is told to be all that there is."""
    async with scripted(partly(0, 48)) as server, at(server) as bucket:
        with pytest.raises(Missing):
            await section_of(bucket, "key", 0, 50)
    beyond = Answer(416, {}, b"<Error><Code>InvalidRange</Code></Error>")
    async with scripted(lambda _: beyond) as server, at(server) as bucket:
        with pytest.raises(Missing):
            await section_of(bucket, "key", 300, 1)


async def test_connections_are_used_again_after_a_section_and_after_a_refusal() -> None:
    answers = [partly(0, 9), lambda _: Answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>"), partly(0, 9)]
    async with scripted(lambda request: answers.pop(0)(request)) as server, at(server) as bucket:
        assert await section_of(bucket, "key", 0, 10) == CONTENT[:10]
        with pytest.raises(ProviderFailure):
            await section_of(bucket, "key", 0, 10)
        assert await section_of(bucket, "key", 0, 10) == CONTENT[:10]
    assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_section_is_asked_for_once_and_by_its_range() -> None:
    async with scripted(partly(9, 58)) as server, at(server) as bucket:
        assert await section_of(bucket, "a key", 9, 50) == CONTENT[9:59]
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/demo-bucket/a%20key", b"")
    assert request.headers["range"] == "bytes=9-58"


async def test_nobody_is_followed_elsewhere() -> None:
    async with scripted(lambda _: Answer(302, {"Location": "http://127.0.0.1:1/"})) as server, at(server) as bucket:
        with pytest.raises(RedirectRefused):
            await section_of(bucket, "key", 0, 1)


@pytest.mark.parametrize("refusal", [names_it_in_the_body, names_it_in_a_header])
async def test_a_refusal_that_names_the_region_is_learned_from_once(refusal: Callable[[str], Answer]) -> None:
    def answer(request: Request) -> Answer:
        return partly(0, 9)(request) if signed_region(request) == "eu-west-1" else refusal("eu-west-1")

    async with scripted(answer) as server, at(server) as bucket:
        for _ in range(2):
            assert await section_of(bucket, "key", 0, 10) == CONTENT[:10]
        assert bucket.found == {"region": "eu-west-1"}
    assert len(server.requests) == 3


async def test_a_storage_that_names_one_region_after_another_is_not_asked_without_end() -> None:
    def answer(request: Request) -> Answer:
        return names_it_in_the_body(f"{signed_region(request)}x")

    async with scripted(answer) as server, at(server) as bucket:
        with pytest.raises(WrongRegion):
            await section_of(bucket, "key", 0, 10)
    assert len(server.requests) == 2


async def test_a_token_that_is_not_good_any_more_is_renewed_once() -> None:
    google = Google()
    async with google.serving() as server:
        subject = account_subject(google, loopback(gcs=server.url))
        async with subject.open() as bucket:
            await bucket.put("key", BytesBody(CONTENT))
            google.oauth.tokens.clear()
            assert await section_of(bucket, "key", 5, 10) == CONTENT[5:15]
            google.storage_fault = always(failure(401, "authError", "Invalid Credentials"))
            before = len(server.requests)
            with pytest.raises(CredentialsRejected):
                await section_of(bucket, "key", 5, 10)
            assert len(server.requests) - before <= 4
    assert subject.provider is gcs.PROVIDER
