"""Large files at Alibaba Cloud OSS: what is sent, what is made of its answers, and what goes on after a failure."""

import base64
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from consignee.body import BytesBody
from consignee.errors import FileTooLarge, KeyTooLong, ProviderError, ProviderFailure
from consignee.providers import oss
from consignee.providers.base import Checkpoint
from consignee.providers.oss_parts import Part
from consignee.providers.parts import UploadGone, part_size
from consignee.transport import Parts
from fakes import oss_answers as answers
from fakes.oss import Oss, oss_server
from fakes.scripted import Request
from providers.opening import loopback, opened
from providers.test_oss_contract import BUCKET, BUCKETS, FIELDS, USERS

SIZE: Final = 100 * 1024
PARTS: Final = Parts(threshold=SIZE, size=SIZE, at_once=1, tries=3, pause=0.0)
WHOLE: Final = random.Random(1).randbytes(2 * SIZE + 1000)
BODY: Final = BytesBody(WHOLE)


@asynccontextmanager
async def at_the_fake(**fields: str) -> AsyncIterator[tuple[Oss, oss.OssBucket]]:
    """Yield a server and a bucket there that sends whatever has more than 100 KB in parts."""
    async with (
        oss_server(USERS, BUCKETS, path_style=True) as server,
        opened(oss.PROVIDER, {**FIELDS, **fields}, loopback(oss=server.url), parts=PARTS) as bucket,
    ):
        assert isinstance(bucket, oss.OssBucket)
        yield server, bucket


def asked(request: Request) -> str:
    """Return what a request is for: its method and its parameters without those of the signature."""
    query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
    named = [f"{name}={values[0]}" for name, values in sorted(query.items()) if not name.startswith("x-oss-")]
    return " ".join([request.method, *(name.partition("=")[0] if "upload" in name else name for name in named)])


def once(wanted: str) -> Callable[[Request], bool]:
    """Return what is true of the first of the requests that are for this."""
    left = [True]
    return lambda request: asked(request) == wanted and bool(left) and left.pop()


async def test_an_upload_is_begun_sent_and_completed_and_nothing_else() -> None:
    """Each request signed for itself, each part with its MD5; the object gets its type when the upload is begun."""
    async with at_the_fake() as (server, bucket):
        await bucket.put("a folder/a+b", BODY)
    begin, *parts, complete = server.requests
    assert asked(begin) == "POST uploads"
    assert [asked(part) for part in parts] == [f"PUT partNumber={number} uploadId" for number in (1, 2, 3)]
    assert asked(complete) == "POST uploadId"
    assert begin.headers["content-type"] == "application/octet-stream"
    assert complete.headers["content-type"] == "application/xml"
    for request in (*parts, complete):
        assert request.headers["content-md5"] == base64.b64encode(hashlib.md5(request.body).digest()).decode()
    assert len({parse_qs(urlsplit(request.path).query)["x-oss-signature"][0] for request in server.requests}) == 5
    assert server.objects[BUCKET] == {"a folder/a+b": WHOLE}
    assert hashlib.sha256(server.objects[BUCKET]["a folder/a+b"]).digest() == BODY.sha256


async def test_what_is_not_larger_than_the_threshold_is_sent_with_one_request() -> None:
    async with at_the_fake() as (server, bucket):
        await bucket.put("key", BytesBody(WHOLE[:SIZE]))
    assert [asked(request) for request in server.requests] == ["PUT"]


async def test_only_the_part_that_failed_is_sent_again() -> None:
    async with at_the_fake() as (server, bucket):
        server.switches.error = answers.INTERNAL_ERROR
        server.switches.only = once("PUT partNumber=2 uploadId")
        await bucket.put("key", BODY)
    assert [asked(request)[:16] for request in server.requests[1:-1]] == [f"PUT partNumber={n}" for n in (1, 2, 2, 3)]
    assert server.objects[BUCKET] == {"key": WHOLE}


async def test_another_attempt_sends_only_what_is_missing() -> None:
    """From what a checkpoint says, which is all that is left of the first attempt."""
    async with at_the_fake() as (server, bucket):
        checkpoint = Checkpoint()
        server.switches.error = answers.INTERNAL_ERROR
        server.switches.only = lambda request: "partNumber=2" in request.path
        with pytest.raises(ProviderError):
            await bucket.put("key", BODY, checkpoint)
        assert server.unfinished == ["key"]
        server.switches.error = None
        before = len(server.requests)
        await bucket.put("key", BODY, Checkpoint(checkpoint.state))
    sent = [asked(request) for request in server.requests[before:]]
    assert sent == ["PUT partNumber=2 uploadId", "PUT partNumber=3 uploadId", "POST uploadId"]
    assert server.objects[BUCKET] == {"key": WHOLE}
    assert server.unfinished == []


async def test_an_upload_that_the_storage_has_forgotten_begins_anew() -> None:
    async with at_the_fake() as (server, bucket):
        checkpoint = Checkpoint()
        server.switches.error = answers.INTERNAL_ERROR
        server.switches.only = lambda request: "partNumber=3" in request.path
        with pytest.raises(ProviderError):
            await bucket.put("key", BODY, checkpoint)
        server.switches.error = None
        server.uploads.unfinished.clear()
        await bucket.put("key", BODY, checkpoint)
    assert server.objects[BUCKET] == {"key": WHOLE}


async def test_an_upload_that_fails_for_good_leaves_nothing() -> None:
    """Without a checkpoint nobody could go on with it."""
    async with at_the_fake() as (server, bucket):
        server.switches.error = answers.ACCESS_DENIED
        server.switches.only = lambda request: "partNumber=3" in request.path
        with pytest.raises(ProviderFailure) as failed:
            await bucket.put("key", BODY)
    assert failed.value.code == "access_denied"
    assert asked(server.requests[-1]) == "DELETE uploadId"
    assert server.unfinished == []
    assert server.objects.get(BUCKET, {}) == {}


async def test_a_completion_whose_answer_got_lost_is_one() -> None:
    """The storage then knows no such upload."""
    async with at_the_fake() as (server, bucket):
        server.switches.cut_off = True
        server.switches.only = once("POST uploadId")
        await bucket.put("key", BODY)
    assert [asked(request) for request in server.requests[-2:]] == ["POST uploadId", "POST uploadId"]
    assert server.objects[BUCKET] == {"key": WHOLE}


async def test_an_upload_that_lost_a_part_is_given_up_and_begun_anew() -> None:
    """Also if it is asked for twice: it is never taken for a completed one."""
    async with at_the_fake() as (server, bucket):
        checkpoint = Checkpoint()
        first = once("POST uploadId")

        def lose(request: Request) -> bool:
            if asked(request) == "POST uploadId":
                for upload in server.uploads.unfinished.values():
                    upload.parts.pop(2, None)
            return first(request)

        server.switches.error, server.switches.only = answers.INTERNAL_ERROR, lose
        with pytest.raises(ProviderError):
            await bucket.put("key", BODY, checkpoint)
        assert server.objects.get(BUCKET, {}) == {}
        assert (server.unfinished, checkpoint.state) == ([], {})
        server.switches.only = lambda _: False
        await bucket.put("key", BODY, checkpoint)
    assert server.objects[BUCKET] == {"key": WHOLE}


@pytest.mark.parametrize("length", [SIZE, 3 * SIZE])
async def test_a_key_that_oss_does_not_take_is_refused_before_anything_is_sent(length: int) -> None:
    async with at_the_fake() as (server, bucket):
        for attempt in (bucket.put("k" * 1024, BytesBody(bytes(length))), bucket.delete("é" * 512)):
            with pytest.raises(KeyTooLong) as refused:
                await attempt
            assert (refused.value.code, refused.value.transient) == ("key_too_long", False)
            assert "1,023 bytes" in str(refused.value)
        await bucket.put("k" * 1023, BytesBody(bytes(length)))
    assert list(server.objects[BUCKET]) == ["k" * 1023]


async def test_a_file_is_as_large_as_ten_thousand_parts_of_five_gibibytes() -> None:
    largest = oss.OssBucket.longest
    assert part_size(largest, smallest=SIZE, most_parts=oss.OssBucket.most_parts) == 5 * 1024**3
    body = BytesBody(b"")
    body.length = largest + 1
    async with at_the_fake() as (server, bucket):
        with pytest.raises(FileTooLarge):
            await bucket.put("key", body)
    assert server.requests == []


async def test_an_unknown_upload_is_told_apart_from_a_failure() -> None:
    async with at_the_fake() as (_, bucket):
        for attempt in (
            bucket.send_part("key", "0" * 32, 1, BytesBody(b"x")),
            bucket.complete("key", "0" * 32, [str(Part("A" * 32, None, 1))], BytesBody(b"x")),
            bucket.abort("key", "0" * 32),
        ):
            with pytest.raises(UploadGone):
                await attempt
