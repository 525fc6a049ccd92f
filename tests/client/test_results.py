"""Result sets through the client: handed over, followed, read back, delivered again."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consignee.client import ApiError, Client, NotUnderstood, Progress, Unsuitable

from .calls import created
from .conftest import Service

LARGE = bytes(range(256)) * 8192


class Anew:
    """Content that can be iterated as often as is wished."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"from "
        yield b""
        yield b"a stream"


async def once() -> AsyncIterator[bytes]:
    """Yield content that can be iterated once."""
    yield b"once"


async def last(events: AsyncIterator[Progress]) -> Progress:
    """Follow to the end, and return what was told last."""
    async with asyncio.timeout(20):
        return [one async for one in events][-1]


async def test_paths_bytes_and_streams_arrive_as_they_are(client: Client, service: Service, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(LARGE)
    destination = await created(client, memory_path_prefix="%RESULT_SET_ID%")
    collection = await client.collections.create("Reports", destination_ids=[destination.id])
    gone: list[int] = []
    files = {"a.csv": b"1", 'Größen & "b".csv': Anew(), "once": once(), "large.bin": path, "empty": b""}
    result = await client.results.upload(
        collection.id, files, started_at="2030-01-01T00:00:00Z", ended_at="2030-01-02T00:00:00Z", progress=gone.append
    )
    assert (result.id, result.collection_id, result.started_at[:10]) == (1, collection.id, "2030-01-01")
    assert gone == sorted(gone)
    assert gone[-1] == sum(file.size for file in result.files)
    assert {file.name: file.sha256 for file in result.files}["large.bin"] == hashlib.sha256(LARGE).hexdigest()
    progress = await last(client.results.events(collection.id, 1))
    assert progress.finished
    assert progress.destination_status[destination.id].status == "success"
    found = {key.removeprefix("1/"): content for key, content in service.storage.buckets["bucket"].items()}
    assert found == {
        "a.csv": b"1",
        'Größen & "b".csv': b"from a stream",
        "once": b"once",
        "large.bin": LARGE,
        "empty": b"",
    }


async def test_paths_may_be_given_without_names(client: Client, tmp_path: Path) -> None:
    collection = await client.collections.create("Reports")
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
    result = await client.results.upload(collection.id, [tmp_path / "a.csv", str(tmp_path / "b.csv")])
    assert [file.name for file in result.files] == ["a.csv", "b.csv"]
    assert [page.rpartition("/")[2] for page in result.download_links.pages] == ["a.csv", "b.csv"]


async def test_what_can_not_be_sent_is_refused_and_nothing_is_kept(client: Client, tmp_path: Path) -> None:
    collection = await client.collections.create("Reports")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").touch()
    (tmp_path / "x").touch()
    with pytest.raises(Unsuitable, match="two files of the name 'x'"):
        await client.results.upload(collection.id, [tmp_path / "x", tmp_path / "a" / "x"])
    with pytest.raises(Unsuitable, match="is a directory"):
        await client.results.upload(collection.id, [tmp_path / "a"])
    with pytest.raises(FileNotFoundError):
        await client.results.upload(collection.id, [tmp_path / "none"])
    for name in ("a\r\nX: y", "", "\udc80"):
        with pytest.raises(Unsuitable, match="can't be the name"):
            await client.results.upload(collection.id, {name: b""})
    with pytest.raises(ApiError) as raised:
        await client.results.upload(collection.id, {"../a": b""})
    assert "files" in raised.value.errors
    assert (await client.collections.get(collection.id)).results_count == 0


async def test_what_breaks_while_it_is_read_is_raised_as_it_was(client: Client, tmp_path: Path) -> None:
    """And nothing of it is kept."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"begin"
        raise LookupError("the source is gone")

    collection = await client.collections.create("Reports")
    with pytest.raises(LookupError, match="the source is gone"):
        await client.results.upload(collection.id, {"a": b"1", "b": broken()})
    path = tmp_path / "file"
    path.write_bytes(b"the content")

    async def shrink() -> AsyncIterator[bytes]:
        path.write_bytes(b"short")
        yield b""

    with pytest.raises(Unsuitable, match="changed while it was read"):
        await client.results.upload(collection.id, {"first": shrink(), "file": path})
    assert (await client.collections.get(collection.id)).results_count == 0


async def test_a_file_is_read_back_whole_or_in_part(client: Client) -> None:
    collection = await client.collections.create("Reports")
    name = 'Größen & "b" a+b%20#?.csv'
    result = await client.results.upload(collection.id, {name: LARGE})
    info = await client.results.head(collection.id, 1, name)
    assert (info.size, info.etag) == (len(LARGE), f'"{result.files[0].sha256}"')

    async def read(**asked: int | str) -> bytes:
        chunks = client.results.download(collection.id, 1, name, **asked)  # type: ignore[arg-type]
        return b"".join([chunk async for chunk in chunks])

    assert await read() == LARGE
    assert await read(start=1000) == LARGE[1000:]
    assert await read(stop=10) == LARGE[:10]
    assert await read(start=5, stop=10, if_range=info.etag) == LARGE[5:10]
    with pytest.raises(NotUnderstood, match="another one"):
        await read(start=5, if_range='"other"')
    with pytest.raises(ApiError) as raised:
        await read(start=len(LARGE))
    assert (raised.value.status, raised.value.code) == (416, "invalid_request")
    with pytest.raises(ValueError, match="empty"):
        await read(start=5, stop=5)


async def test_result_sets_are_listed_newest_first_over_all_pages(client: Client) -> None:
    collection = await client.collections.create("Reports")
    for number in range(5):
        await client.results.upload(collection.id, {"a": str(number).encode()})
    listed = [one async for one in client.results.list(collection.id, page_size=2)]
    assert [one.id for one in listed] == [5, 4, 3, 2, 1]
    assert {one.collection_id for one in listed} == {collection.id}
    page = await client.results.page(collection.id, 2, page_size=2)
    assert (page.results_count, [one.id for one in page.results]) == (5, [3, 2])
    assert "collection_id" not in listed[0].to_json()


async def test_deliveries_are_listed_shown_and_made_again(client: Client, service: Service) -> None:
    destination = await created(client)
    collection = await client.collections.create("Reports", destination_ids=[destination.id])
    for number in range(3):
        await client.results.upload(collection.id, {f"{number}": b"1"})
        await last(client.results.events(collection.id, number + 1))
    every = [one async for one in client.deliveries.list(page_size=1)]
    assert [one.result_set_id for one in every] == [3, 2, 1]
    chosen = client.deliveries.list(collection_id=collection.id, destination_id=destination.id, status="success")
    assert [one.id async for one in chosen] == [one.id for one in every]
    assert [one async for one in client.deliveries.list(status="failed")] == []
    delivery = await client.deliveries.get(every[0].id)
    assert (delivery.status, delivery.files_done, delivery.destination_id) == ("success", 1, destination.id)
    assert [(one.key, one.ok, one.bytes) for one in delivery.uploads] == [("2", True, 1)]
    service.storage.buckets["bucket"].clear()
    again = await client.results.resend(collection.id, 1, destination_ids=[destination.id])
    assert again.id == 1
    await last(client.results.events(collection.id, 1))
    assert service.storage.buckets["bucket"] == {"0": b"1"}
    assert (await client.results.resend(collection.id, 2)).id == 2
    await last(client.results.events(collection.id, 2))
    assert await client.destinations.resend(destination.id, since="2000-01-01T00:00:00Z") == 0


async def test_the_message_to_a_webhook_can_be_sent_again(client: Client) -> None:
    collection = await client.collections.create("Reports", notification_webhook="https://127.0.0.1:1")
    await client.results.upload(collection.id, {"a": b"1"})
    result = await client.results.resend_webhook(collection.id, 1)
    assert result.webhook_status is not None


async def test_what_nobody_knows_can_not_be_followed(client: Client) -> None:
    collection = await client.collections.create("Reports")
    with pytest.raises(ApiError) as raised:
        await last(client.results.events(collection.id, 1))
    assert raised.value.code == "not_found"
