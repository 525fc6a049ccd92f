"""What is tried again, and what is not; and that nothing is ever done twice."""

import asyncio
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from canaries import API_KEY
from consignee.client import ApiError, Client, ClientError, NotUnderstood, Retries, Unreachable
from fakes.scripted import Answer, Request, scripted

from .calls import breaking, created, hasty, told
from .conftest import Service

LARGE = bytes(range(256)) * 4096
ACCOUNT = {
    "account_info": {
        f"{kind}_{what}": 0 for kind in ("destinations", "collections") for what in ("used", "limit", "available")
    }
}


def cut_off() -> Answer:
    """Return the beginning of an answer."""

    async def beginning() -> AsyncGenerator[bytes, None]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"

    return Answer(raw=beginning())


def in_turn(*answers: Callable[[], Answer]) -> Callable[[Request], Answer]:
    """Answer each request with what comes next."""
    following: Iterator[Callable[[], Answer]] = iter(answers)
    return lambda _: next(following)()


async def test_an_upload_whose_answer_is_lost_makes_one_result_set_and_no_other(
    service: Service, tmp_path: Path
) -> None:
    """It is sent again under the key that it had; so is what creates destinations and collections."""
    path = tmp_path / "large.bin"
    path.write_bytes(LARGE)
    retries, waits = hasty()
    async with Client(service.url, API_KEY) as client:
        destination = await created(client, memory_path_prefix="%RESULT_SET_ID%")
        collection = await client.collections.create("Reports", destination_ids=[destination.id])
    async with breaking(service.url, times=2) as relay, Client(relay.url, API_KEY, retries=retries) as client:
        result = await client.results.upload(collection.id, {"large.bin": path, "a": b"1"})
        assert (result.id, len(waits)) == (1, 2)
    async with Client(service.url, API_KEY) as client:
        assert (await client.results.page(collection.id)).results_count == 1
    async with breaking(service.url, times=1) as relay, Client(relay.url, API_KEY, retries=retries) as client:
        await created(client, name="Once")
    async with breaking(service.url, times=1) as relay, Client(relay.url, API_KEY, retries=retries) as client:
        await client.collections.create("Once")
    async with Client(service.url, API_KEY) as client:
        assert (await client.account()).destinations_used == 2
        assert (await client.account()).collections_used == 2
    assert len(waits) == 4


async def test_what_can_not_be_read_again_is_not_sent_again_but_may_be_by_its_key(service: Service) -> None:
    async def once() -> AsyncIterator[bytes]:
        yield b"once"

    async with Client(service.url, API_KEY) as client:
        collection = await client.collections.create("Reports")
    retries, waits = hasty()
    async with breaking(service.url, times=1) as relay, Client(relay.url, API_KEY, retries=retries) as client:
        with pytest.raises(Unreachable) as raised:
            await client.results.upload(collection.id, {"a": once()})
        assert waits == []
        key = raised.value.idempotency_key
        assert key is not None
        result = await client.results.upload(collection.id, {"a": once()}, idempotency_key=key)
        assert result.id == 1
        assert (await client.results.page(collection.id)).results_count == 1


async def test_what_changes_something_without_a_key_is_not_tried_again_when_its_answer_is_lost(
    service: Service,
) -> None:
    """It may have been done. What only reads is."""
    retries, waits = hasty()
    async with Client(service.url, API_KEY) as client:
        destination = await created(client)
    async with breaking(service.url, times=1) as relay, Client(relay.url, API_KEY, retries=retries) as client:
        with pytest.raises(Unreachable):
            await client.destinations.update(destination.id, {"name": "Changed"})
        assert waits == []
    async with breaking(service.url, times=1, after=20) as relay, Client(relay.url, API_KEY, retries=retries) as client:
        assert (await client.destinations.get(destination.id)).name == "Changed"
        assert len(waits) == 1


async def test_a_service_that_asks_for_time_gets_it() -> None:
    busy = (
        lambda: told(status=503, wait="7"),
        lambda: told(status=429, wait="0"),
        lambda: Answer(502, {}, b"<html>"),
        cut_off,
    )
    retries, waits = hasty(first=1.0, longest=3.0)
    async with (
        scripted(in_turn(*busy, lambda: told(ACCOUNT))) as server,
        Client(server.url, "k", retries=retries) as client,
    ):
        assert (await client.account()).destinations_used == 0
    assert waits == [7.0, 2.0, 3.0, 3.0]


async def test_patience_and_tries_have_an_end() -> None:
    retries, waits = hasty(most=2)
    async with scripted(lambda _: told(status=503)) as server, Client(server.url, "k", retries=retries) as client:
        with pytest.raises(ApiError) as raised:
            await client.account()
        assert (raised.value.code, raised.value.passing, len(server.requests)) == ("unavailable", True, 3)
    assert waits == [0.25, 0.5]
    async with (
        scripted(lambda _: told(status=429, wait="61")) as server,
        Client(server.url, "k", retries=retries) as client,
    ):
        with pytest.raises(ApiError) as raised:
            await client.account()
        assert (raised.value.retry_after, len(server.requests)) == (61.0, 1)


async def test_what_was_refused_for_its_rate_was_not_done_and_is_tried_again() -> None:
    """Whatever it would have done."""
    retries, waits = hasty()
    answers = in_turn(lambda: told(status=429, wait="1"), lambda: told())
    async with scripted(answers) as server, Client(server.url, "k", retries=retries) as client:
        await client.destinations.delete("0000ABCD")
    assert waits == [1.0]


async def test_what_is_still_being_carried_out_is_waited_for() -> None:
    """As by a service that has not noticed yet that the connection broke."""

    def conflict() -> Answer:
        body = b'{"request_info": {"success": false, "code": "conflict", "message": "It is under way."}}'
        return Answer(409, {}, body)

    made: dict[str, Any] = {"collection": {"id": "0000ABCD", "name": "x", "destination_ids": [], "notification_webhook": None,
                           "manifest": False, "secrets_set": [], "created_at": "", "updated_at": "",
                           "results_count": 0, "next_result_set_id": 1}}  # fmt: skip
    retries, waits = hasty()
    async with scripted(in_turn(cut_off, conflict, lambda: told(made))) as server:
        async with Client(server.url, "k", retries=retries) as client:
            assert (await client.collections.create("x")).id == "0000ABCD"
        keys = {request.headers["idempotency-key"] for request in server.requests}
    assert (len(waits), len(keys)) == (2, 1)
    async with scripted(in_turn(conflict)) as server, Client(server.url, "k", retries=retries) as client:
        with pytest.raises(ApiError):
            await client.collections.create("x")


async def test_a_redirect_is_not_followed() -> None:
    """Elsewhere, nobody must see the key."""
    async with scripted(lambda _: told(ACCOUNT)) as elsewhere:
        moved = Answer(307, {"Location": elsewhere.url + "/account"})
        async with scripted(lambda _: moved) as server, Client(server.url, "k") as client:
            with pytest.raises(NotUnderstood, match="with status 307 is not consignee"):
                await client.account()
        assert elsewhere.requests == []


async def test_a_download_goes_on_where_it_broke(service: Service) -> None:
    async with Client(service.url, API_KEY) as client:
        collection = await client.collections.create("Reports")
        await client.results.upload(collection.id, {"large.bin": LARGE})
    retries, waits = hasty()
    async with (
        breaking(service.url, times=3, after=300_000) as relay,
        Client(relay.url, API_KEY, retries=retries) as client,
    ):
        chunks = [chunk async for chunk in client.results.download(collection.id, 1, "large.bin")]
    assert b"".join(chunks) == LARGE
    assert 0 < len(waits) <= 3


async def test_a_file_is_asked_for_as_it_is() -> None:
    """Compressed on the way, its ranges would not fit together."""
    body = Answer(200, {"ETag": '"x"'}, b"1")
    async with scripted(lambda _: body) as server, Client(server.url, "k") as client:
        assert [chunk async for chunk in client.results.download("0000ABCD", 1, "a")] == [b"1"]
        assert server.requests[0].headers["accept-encoding"] == "identity"
        assert server.requests[0].headers["authorization"] == "Bearer k"


async def test_events_go_on_over_another_connection_and_tell_nothing_twice() -> None:
    status = b'event: status\ndata: {"destination_status": {}, "webhook_status": null}\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

    def stream(*parts: bytes) -> Answer:
        async def sending() -> AsyncGenerator[bytes, None]:
            for part in (head, *parts):
                yield part

        return Answer(raw=sending())

    retries, waits = hasty(most=2)
    answers = in_turn(
        lambda: stream(status), cut_off, lambda: stream(b": still here\n\n", status, b"event: end\ndata: {}\n\n")
    )
    async with scripted(answers) as server, Client(server.url, "k", retries=retries) as client:
        assert len([one async for one in client.results.events("0000ABCD", 1)]) == 1
    assert len(waits) == 2
    async with scripted(lambda _: stream()) as server, Client(server.url, "k", retries=retries) as client:
        with pytest.raises(Unreachable, match="tells nothing"):
            _ = [one async for one in client.results.events("0000ABCD", 1)]
        assert len(server.requests) == 3


@pytest.mark.parametrize("answer", [cut_off, lambda: Answer(500, {}, b"<html>"), lambda: told(status=500)])
async def test_no_exception_leads_to_the_key(answer: Callable[[], Answer]) -> None:
    """Neither its text, nor what it was raised from, nor in the course of what."""
    async with scripted(lambda _: answer()) as server, Client(server.url, API_KEY, retries=hasty(most=1)[0]) as client:
        with pytest.raises(ClientError) as raised:
            await client.account()
        seen: list[BaseException] = []
        error: BaseException | None = raised.value
        while error is not None:
            seen.append(error)
            error = error.__cause__ or error.__context__
        for one in seen:
            assert API_KEY not in f"{one!r} {one} {vars(one)!r}"
        assert not any(isinstance(one, aiohttp.ClientError) for one in seen)


async def test_nobody_there_is_told_in_words() -> None:
    async with Client("http://127.0.0.1:9", "k", retries=Retries(most=0)) as client:
        with pytest.raises(Unreachable, match=r"^the service at http://127.0.0.1:9 can't be reached, or broke off: "):
            await client.account()


async def test_large_files_take_little_memory_on_their_way_out_and_in(service: Service, tmp_path: Path) -> None:
    """All of the test is in this process: the service too."""
    total, most = 48 * 1024 * 1024, 16 * 1024 * 1024
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(total // 2)

    async def zeros() -> AsyncIterator[bytes]:
        for _ in range(total // 2 // 65536):
            yield bytes(65536)

    async with Client(service.url, API_KEY) as client:
        collection = await client.collections.create("Reports")
        tracemalloc.start()
        try:
            await client.results.upload(collection.id, {"file": path, "stream": zeros()})
            count = 0
            async for chunk in client.results.download(collection.id, 1, "stream"):
                count += len(chunk)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert count == total // 2
    assert peak < most


async def test_leaving_a_stream_early_leaves_nothing_open(service: Service) -> None:
    """A client that breaks off its loop ends its request; the tests' own rules find what would stay open."""
    async with Client(service.url, API_KEY) as client:
        collection = await client.collections.create("Reports")
        await client.results.upload(collection.id, {"large.bin": LARGE * 4})
        download: Any = client.results.download(collection.id, 1, "large.bin")
        async for _ in download:
            break
        await download.aclose()
        async with asyncio.timeout(10):
            assert (await client.account()).collections_used == 1
