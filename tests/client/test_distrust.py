"""What the client makes of a service, or of something between, that breaks off, lies or floods."""

import asyncio
import gzip
from collections.abc import AsyncGenerator
from types import MappingProxyType
from typing import Any, Final

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol

from canaries import API_KEY
from consignee.client import ApiError, Client, ClientError, NotUnderstood, Unreachable
from fakes.scripted import Answer, scripted

from .calls import breaking, hasty, told
from .conftest import Service
from .test_retries import in_turn

MIB: Final = 1024 * 1024
EVENTS: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
COLLECTION: Final[dict[str, Any]] = {"collection": {
    "id": "0000ABCD", "name": "x", "destination_ids": [], "notification_webhook": None, "manifest": False,
    "secrets_set": [], "created_at": "", "updated_at": "", "results_count": 0, "next_result_set_id": 1,
}}  # fmt: skip


def conflict() -> Answer:
    """Return what a request gets that is still being carried out."""
    body = b'{"request_info": {"success": false, "code": "conflict", "message": "It is under way."}}'
    return Answer(409, {}, body)


def raw(*parts: bytes) -> Answer:
    """Return an answer of just that, after which the connection is closed."""

    async def sending() -> AsyncGenerator[bytes, None]:
        for part in parts:
            yield part

    return Answer(raw=sending())


async def test_what_a_proxy_gave_up_may_still_be_carried_out_and_is_waited_for() -> None:
    """Its 504 says nothing of what became of the request."""
    retries, waits = hasty()
    answers = in_turn(lambda: Answer(504, {}, b"<html>"), conflict, lambda: told(COLLECTION))
    async with scripted(answers) as server, Client(server.url, "k", retries=retries) as client:
        assert (await client.collections.create("x")).id == "0000ABCD"
    assert len(waits) == 2


@pytest.mark.parametrize("answer", [lambda: Answer(504, {}, b"<html>"), lambda: told(status=503), raw])
async def test_what_may_have_been_created_can_be_asked_for_again_by_its_key(answer: Any) -> None:
    async with (
        scripted(lambda _: answer()) as server,
        Client(server.url, "k", retries=hasty(most=1)[0]) as client,
    ):
        with pytest.raises(ClientError) as raised:
            await client.collections.create("x")
        assert {request.headers["idempotency-key"] for request in server.requests} == {raised.value.idempotency_key}


async def test_a_reader_that_gives_its_content_once_is_sent_once(service: Service) -> None:
    """Such as the body of a request that a server got: a second time, it would be an empty file."""
    reader = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
    reader.feed_data(b"content")
    reader.feed_eof()
    async with Client(service.url, API_KEY) as client:
        collection = await client.collections.create("Reports")
    retries, waits = hasty()
    async with breaking(service.url, times=1) as relay, Client(relay.url, API_KEY, retries=retries) as client:
        with pytest.raises(Unreachable):
            await client.results.upload(collection.id, {"a": reader})
    assert waits == []


async def test_another_file_than_the_expected_one_is_refused_from_its_first_byte() -> None:
    answer = Answer(200, {"ETag": '"new"'}, b"1")
    async with scripted(lambda _: answer) as server, Client(server.url, "k") as client:
        with pytest.raises(NotUnderstood, match="another one"):
            _ = [one async for one in client.results.download("0000ABCD", 1, "a", if_range='"old"')]
        assert [one async for one in client.results.download("0000ABCD", 1, "a", if_range='"new"')] == [b"1"]


async def test_a_file_that_is_not_there_has_no_head(client: Client) -> None:
    """The answer to HEAD has no content that could say so, only the status."""
    collection = await client.collections.create("Reports")
    with pytest.raises(ApiError) as raised:
        await client.results.head(collection.id, 1, "none")
    assert (raised.value.code, raised.value.status, bool(raised.value.trace_id)) == ("not_found", 404, True)
    async with scripted(lambda _: Answer(404)) as server, Client(server.url, "k") as other:
        with pytest.raises(NotUnderstood):
            await other.results.head(collection.id, 1, "none")


async def test_a_service_that_is_not_there_is_asked_as_often_for_a_stream_as_for_all_else() -> None:
    async with scripted(lambda _: raw()) as server, Client(server.url, "k", retries=hasty()[0]) as client:
        for asked, stream in enumerate((client.results.download, client.results.events), 1):
            with pytest.raises(Unreachable):
                _ = [one async for one in stream("0000ABCD", 1, *["a"] * (asked == 1))]  # type: ignore[operator]
            assert len(server.requests) == 5 * asked


async def test_an_answer_without_an_end_is_not_kept() -> None:
    """Not even one that is small as long as it is packed."""
    packed = Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(bytes(65 * MIB), 1))
    async with scripted(lambda _: packed) as server, Client(server.url, "k", retries=hasty()[0]) as client:
        with pytest.raises(NotUnderstood, match="too long"):
            await client.account()


async def test_an_event_without_an_end_is_not_kept() -> None:
    line = b"data: " + b"x" * MIB + b"\n"
    async with (
        scripted(lambda _: raw(EVENTS, *[line] * 1000)) as server,
        Client(server.url, "k", retries=hasty(most=0)[0]) as client,
    ):
        with pytest.raises(NotUnderstood, match="without an end"):
            _ = [one async for one in client.results.events("0000ABCD", 1)]


async def test_fields_may_be_any_mapping(client: Client) -> None:
    fields = MappingProxyType({"name": "Mine", "type": "memory", "enabled": False, "memory_bucket_name": "bucket"})
    with pytest.raises(ApiError) as raised:
        await client.destinations.create(fields)
    assert raised.value.errors.keys() == {"memory_secret"}


@pytest.mark.parametrize("url", ["http://a..b", f"http://{'a' * 64}.example"])
def test_a_name_that_no_host_can_have_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="must be an http or https URL"):
        Client(url, "k")


async def test_with_no_repetitions_a_stream_that_breaks_is_not_taken_up() -> None:
    """Neither a file nor events."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    status = b'event: status\ndata: {"destination_status": {}, "webhook_status": null}\n\n'
    async with (
        scripted(lambda _: raw(head, status)) as server,
        Client(server.url, "k", retries=hasty(most=0)[0]) as client,
    ):
        with pytest.raises(Unreachable):
            _ = [one async for one in client.results.download("0000ABCD", 1, "a")]
        assert len(server.requests) == 1
        with pytest.raises(Unreachable):
            _ = [one async for one in client.results.events("0000ABCD", 1)]
        assert len(server.requests) == 2
