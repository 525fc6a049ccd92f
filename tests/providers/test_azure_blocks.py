"""Large files at Azure: blocks, and the list that makes a blob of them; what is sent, and what Azurite makes of it."""

import base64
import hashlib
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from consignee.body import BytesBody
from consignee.demo.azurite import AzuriteServer
from consignee.errors import (
    EndpointUnreachable,
    FileTooLarge,
    NotAStorageService,
    ProviderError,
    ProviderFailure,
)
from consignee.providers import azure
from consignee.providers.base import Checkpoint
from consignee.providers.parts import UploadSpoiled, part_size
from consignee.transport import Parts
from fakes.leading import LeadingResolver
from fakes.scripted import Answer, Request, Server, scripted
from providers.opening import Fields, loopback, opened
from providers.test_azure import FIELDS

SIZE: Final = 50_000
PARTS: Final = Parts(threshold=SIZE, size=SIZE, at_once=1, tries=3, pause=0.0)
WHOLE: Final = random.Random(1).randbytes(2 * SIZE + 1000)
BODY: Final = BytesBody(WHOLE)
DISCARDED: Final = Answer(400, {"x-ms-error-code": "InvalidBlockList", "x-ms-request-id": "1"})
BUSY: Final = Answer(503, {"x-ms-error-code": "ServerBusy", "x-ms-request-id": "1"})


def md5_of(content: bytes) -> str:
    """Return the MD5 as Azure writes it."""
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def as_azure(request: Request) -> Answer:
    """Answer as Azure does: 201, the MD5 of what came, and an ETag for what is a blob."""
    made = {} if "comp=block&" in request.path else {"ETag": '"0x8D"'}
    return Answer(201, {"x-ms-request-id": "1", "Content-MD5": md5_of(request.body)} | made)


def asked(request: Request) -> dict[str, str]:
    """Return the parameters of a request."""
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


def kind(request: Request) -> str:
    """Return what a request sends: a block, a blocklist, or a blob."""
    return asked(request).get("comp", "blob")


@asynccontextmanager
async def at(respond: Callable[[Request], Answer]) -> AsyncIterator[tuple[Server, azure.AzureBucket]]:
    """Yield a server that answers so, and a container there."""
    async with (
        scripted(respond) as server,
        opened(azure.PROVIDER, FIELDS, loopback(azure=f"{server.url}/{{account}}"), parts=PARTS) as bucket,
    ):
        assert isinstance(bucket, azure.AzureBucket)
        yield server, bucket


@asynccontextmanager
async def at_azurite(azurite: AzuriteServer) -> AsyncIterator[azure.AzureBucket]:
    """Yield the container of the tests."""
    fields: Fields = {**FIELDS, "azure_account_key": azurite.accounts["demoaccount"]}
    async with opened(azure.PROVIDER, fields, loopback(azure=azurite.url), parts=PARTS) as bucket:
        assert isinstance(bucket, azure.AzureBucket)
        yield bucket


async def stored(azurite: AzuriteServer, key: str) -> bytes:
    """Return what is in the container."""
    return await azurite.read("demoaccount", "demo-container", key)


async def test_blocks_and_their_list_are_sent_and_nothing_else() -> None:
    """Each signed for this blob and to write, with its MD5; the list gives the blob its type and the MD5 of the whole."""
    async with at(as_azure) as (server, bucket):
        await bucket.put("a folder/a+b", BODY)
    *blocks, named = server.requests
    assert [kind(request) for request in server.requests] == ["block", "block", "block", "blocklist"]
    assert b"".join(request.body for request in blocks) == WHOLE
    ids = [asked(request)["blockid"] for request in blocks]
    listed = "".join(f"<Latest>{block}</Latest>" for block in ids)
    assert named.body.decode() == f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'
    assert named.headers["x-ms-blob-content-md5"] == md5_of(WHOLE)
    assert named.headers["x-ms-blob-content-type"] == "application/octet-stream"
    for request in server.requests:
        assert request.method == "PUT"
        assert request.path.startswith("/demoaccount/demo-container/a%20folder/a%2Bb?comp=block")
        assert (asked(request)["sp"], asked(request)["sr"]) == ("w", "b")
        assert request.headers["content-md5"] == md5_of(request.body)
        assert request.headers["x-ms-version"] == azure.VERSION
        assert "x-ms-blob-type" not in request.headers


def test_the_ids_of_blocks_have_one_length() -> None:
    """Of all uploads alike, as Azure wants of the blocks of one blob: at most 64 bytes before they are encoded."""
    ids = [azure.block_id(upload, number) for upload in ("0" * 16, "f" * 16) for number in (1, 10, 50_000)]
    assert len(set(ids)) == 6
    assert {len(base64.b64decode(block)) for block in ids} == {24}


async def test_the_id_of_an_upload_is_made_here() -> None:
    """And is another each time."""
    async with at(as_azure) as (server, bucket):
        begun = {await bucket.begin("key") for _ in range(3)}
        await bucket.abort("key", begun.copy().pop())
    assert len(begun) == 3
    assert {len(upload) for upload in begun} == {16}
    assert server.requests == []


async def test_what_is_not_larger_than_the_threshold_is_sent_with_one_request() -> None:
    async with at(as_azure) as (server, bucket):
        await bucket.put("key", BytesBody(WHOLE[:SIZE]))
    assert [kind(request) for request in server.requests] == ["blob"]


async def test_a_blob_is_as_large_as_fifty_thousand_blocks_of_four_thousand_mebibytes() -> None:
    largest = azure.AzureBucket.longest
    assert part_size(largest, smallest=SIZE, most_parts=azure.AzureBucket.most_parts) == 4_000 * 1024**2
    body = BytesBody(b"")
    body.length = largest + 1
    async with at(as_azure) as (server, bucket):
        with pytest.raises(FileTooLarge):
            await bucket.put("key", body)
    assert server.requests == []


async def test_only_the_block_that_failed_is_sent_again() -> None:
    answers = [as_azure, lambda _: BUSY]

    def respond(request: Request) -> Answer:
        return (answers.pop(0) if answers else as_azure)(request)

    async with at(respond) as (server, bucket):
        await bucket.put("key", BODY)
    first, refused, again, third, _ = [asked(request).get("blockid") for request in server.requests]
    assert refused == again
    assert len({first, again, third}) == 3


async def test_another_attempt_sends_only_what_is_missing() -> None:
    """From what a checkpoint says, under the same ids."""
    failing = True

    def respond(request: Request) -> Answer:
        return Answer(403) if failing and request.body == WHOLE[SIZE : 2 * SIZE] else as_azure(request)

    async with at(respond) as (server, bucket):
        checkpoint = Checkpoint()
        with pytest.raises(ProviderFailure):
            await bucket.put("key", BODY, checkpoint)
        failing, before = False, len(server.requests)
        await bucket.put("key", BODY, Checkpoint(checkpoint.state))
    again = server.requests[before:]
    assert [kind(request) for request in again] == ["block", "block", "blocklist"]
    assert asked(server.requests[0])["blockid"] in again[-1].body.decode()


async def _cut_off() -> AsyncGenerator[bytes, None]:
    yield b"HTTP/1.1 201 Cr"


async def test_a_list_whose_answer_got_lost_is_sent_again() -> None:
    """It is good twice: the blocks are then found among those of the blob."""
    lost = [Answer(raw=_cut_off())]

    def respond(request: Request) -> Answer:
        return lost.pop() if lost and kind(request) == "blocklist" else as_azure(request)

    async with at(respond) as (server, bucket):
        await bucket.put("key", BODY)
    assert [kind(request) for request in server.requests] == ["block"] * 3 + ["blocklist"] * 2
    assert server.requests[-1].body == server.requests[-2].body


async def test_azurite_takes_a_list_twice(azurite: AzuriteServer) -> None:
    async with at_azurite(azurite) as bucket:
        upload = await bucket.begin("blocks/twice")
        tag = await bucket.send_part("blocks/twice", upload, 1, BODY)
        for _ in range(2):
            await bucket.complete("blocks/twice", upload, [tag], BODY)
            assert await stored(azurite, "blocks/twice") == WHOLE


async def test_the_blob_carries_its_type_and_its_md5(azurite: AzuriteServer) -> None:
    """As one that came with a single request does; Azure itself computes no MD5 of a list of blocks."""
    async with at_azurite(azurite) as bucket:
        await bucket.put("blocks/whole", BODY)
    reply = azurite.request("demoaccount", "HEAD", "/demo-container/blocks/whole")
    assert reply.headers["content-md5"] == md5_of(WHOLE)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert hashlib.sha256(await stored(azurite, "blocks/whole")).digest() == BODY.sha256


async def test_blocks_of_another_upload_are_not_mixed_in(azurite: AzuriteServer) -> None:
    """One that was given up has left its blocks."""
    async with at_azurite(azurite) as bucket:
        abandoned = await bucket.begin("blocks/mixed")
        await bucket.send_part("blocks/mixed", abandoned, 1, BytesBody(b"of another upload"))
        await bucket.abort("blocks/mixed", abandoned)
        assert "blocks/mixed" not in await azurite.blobs("demoaccount", "demo-container")
        await bucket.put("blocks/mixed", BODY)
    assert await stored(azurite, "blocks/mixed") == WHOLE


async def test_blocks_that_were_discarded_are_sent_again(azurite: AzuriteServer) -> None:
    """A checkpoint is older than a week, or the blob was written meanwhile."""
    async with at_azurite(azurite) as bucket:
        checkpoint = Checkpoint()
        key = "blocks/discarded"
        upload = await bucket.begin(key)
        tags = {str(number): azure.block_id(upload, number) for number in (1, 2)}
        await checkpoint.save({"upload": upload, "key": key, "sha256": BODY.sha256.hex(), "size": SIZE, "tags": tags})
        await bucket.put(key, BODY, checkpoint)
        with pytest.raises(UploadSpoiled):
            await bucket.complete(key, upload, list(tags.values()), BODY)
    assert checkpoint.state == {}
    assert await stored(azurite, key) == WHOLE


async def test_discarded_blocks_are_no_completed_upload() -> None:
    """Also if the list was sent before, without a clear answer."""
    lists = [BUSY, DISCARDED]

    def respond(request: Request) -> Answer:
        return lists.pop(0) if kind(request) == "blocklist" else as_azure(request)

    async with at(respond) as (_, bucket):
        checkpoint = Checkpoint()
        with pytest.raises(ProviderError, match="discarded blocks") as failed:
            await bucket.put("key", BODY, checkpoint)
    assert failed.value.transient
    assert checkpoint.state == {}
    assert lists == []


@pytest.mark.parametrize("of", ["blob", "block", "blocklist"])
async def test_another_digest_than_what_was_sent_has_is_an_error(of: str) -> None:
    def respond(request: Request) -> Answer:
        told = as_azure(request)
        return Answer(201, {**told.headers, "Content-MD5": md5_of(b"else")}) if kind(request) == of else told

    async with at(respond) as (_, bucket):
        with pytest.raises(ProviderError, match="another content"):
            await bucket.put("key", BytesBody(b"small") if of == "blob" else BODY)


async def test_a_digest_need_not_be_told() -> None:
    """Azurite tells none of a block."""

    def respond(request: Request) -> Answer:
        return Answer(201, {name: text for name, text in as_azure(request).headers.items() if name != "Content-MD5"})

    async with at(respond) as (server, bucket):
        await bucket.put("key", BODY)
        await bucket.put("key", BytesBody(b"small"))
    assert kind(server.requests[-1]) == "blob"


@pytest.mark.parametrize(("of", "header"), [("block", "x-ms-request-id"), ("blocklist", "ETag")])
async def test_a_success_that_is_not_like_azures_is_none(of: str, header: str) -> None:
    def respond(request: Request) -> Answer:
        told: Mapping[str, str] = as_azure(request).headers
        return Answer(201, {name: text for name, text in told.items() if (kind(request), name) != (of, header)})

    async with at(respond) as (_, bucket):
        with pytest.raises(NotAStorageService) as failed:
            await bucket.put("key", BODY)
    assert failed.value.accepted


async def test_an_account_that_does_not_exist_has_no_host_for_blocks_either() -> None:
    resolver = LeadingResolver({})
    async with opened(azure.PROVIDER, FIELDS, loopback(), resolver=resolver, parts=PARTS) as bucket:
        with pytest.raises(EndpointUnreachable) as failed:
            await bucket.put("key", BODY)
    assert "storage account demoaccount?" in failed.value.hint
