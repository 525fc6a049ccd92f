"""Result sets, over HTTP."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

from consignee.client.calling import Call, Caller, path
from consignee.client.downloads import download, head
from consignee.client.following import follow
from consignee.client.paging import LARGEST_PAGE, through
from consignee.client.progress import FileInfo, ListedResultSet, Progress, ResultPage, ResultSet
from consignee.client.reading import read
from consignee.client.uploads import Package, Source, by_name


class Results:
    """What can be done with the result sets of a collection. Everything raises ClientError."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def upload(
        self,
        collection_id: str,
        files: Mapping[str, Source] | Iterable[str | os.PathLike[str]],
        *,
        started_at: str | None = None,
        ended_at: str | None = None,
        idempotency_key: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> ResultSet:
        """Hand over a result set and return it; its deliveries go on by themselves.

        `files` are paths, or by the name of each its content: a path, bytes, or an async iterable. If the connection breaks,
        they are sent again under the same key, so that there is one result set and no other; but not what can be iterated
        only once. `progress` is told how many bytes went out so far. Raises Unsuitable or OSError for a file.
        """
        fields = {"started_at": started_at, "ended_at": ended_at}
        package = await asyncio.to_thread(Package, by_name(files), fields, progress)
        key = idempotency_key or self._caller.new_key()
        return await self._one(
            Call(method="POST", path=path("collections", collection_id, "results"), body=package, key=key)
        )

    async def get(self, collection_id: str, number: int) -> ResultSet:
        """Return a result set, with how its deliveries are."""
        return await self._one(Call(method="GET", path=path("collections", collection_id, "results", number)))

    def list(self, collection_id: str, *, page_size: int = LARGEST_PAGE) -> AsyncIterator[ListedResultSet]:
        """Yield the result sets that are kept, newest first, page after page."""

        async def turn(number: int) -> tuple[Iterable[ListedResultSet], int]:
            found = await self.page(collection_id, number, page_size=page_size)
            return found.results, -(-found.results_count // page_size)

        return through(turn)

    async def page(self, collection_id: str, page: int = 1, *, page_size: int | None = None) -> ResultPage:
        """Return one page of the result sets that are kept."""
        query = {"page": page, "page_size": page_size}
        call = Call(method="GET", path=path("collections", collection_id, "results"), query=query)
        return read(ResultPage, await self._caller.ask(call))

    async def resend(
        self, collection_id: str, number: int, *, destination_ids: Iterable[str] | None = None
    ) -> ResultSet:
        """Deliver a result set again, to all of its destinations or to these, and return it."""
        content = {} if destination_ids is None else {"destination_ids": [*destination_ids]}
        where = path("collections", collection_id, "results", number, "resend")
        return await self._one(Call(method="POST", path=where, content=content))

    async def resend_webhook(self, collection_id: str, number: int) -> ResultSet:
        """Send the message about a result set again, and return the result set."""
        where = path("collections", collection_id, "results", number, "webhook", "resend")
        return await self._one(Call(method="POST", path=where, content={}))

    def events(self, collection_id: str, number: int) -> AsyncIterator[Progress]:
        """Yield how the deliveries go, at once and after each change, until all of them came to rest."""
        return follow(self._caller, path("collections", collection_id, "results", number, "events"))

    def download(
        self,
        collection_id: str,
        number: int,
        name: str,
        *,
        start: int = 0,
        stop: int | None = None,
        if_range: str | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield the content of a file, or its bytes from `start` to before `stop`, piece by piece.

        It goes on where a connection broke. With `if_range`, an ETag, it raises NotUnderstood if the file is another one.
        """
        where = path("collections", collection_id, "results", number, "files", name)
        return download(self._caller, where, start=start, stop=stop, etag=if_range)

    async def head(self, collection_id: str, number: int, name: str) -> FileInfo:
        """Return the size and the ETag of a file."""
        return await head(self._caller, path("collections", collection_id, "results", number, "files", name))

    async def _one(self, call: Call) -> ResultSet:
        answer = await self._caller.ask(call)
        found, within = answer.get("result"), {"collection_id": answer.get("collection_id")}
        return read(ResultSet, {**found, **within} if isinstance(found, dict) else found)
