"""Files of result sets, read piece by piece; a broken connection is taken up where it broke."""

from collections.abc import AsyncIterator
from typing import Final

from consignee.client.calling import Call, Caller
from consignee.client.errors import NotUnderstood, Unreachable
from consignee.client.progress import FileInfo

_AS_IT_IS: Final = {"Accept-Encoding": "identity"}
"""What a proxy might compress has no ranges that fit together."""


async def download(
    caller: Caller, path: str, *, start: int, stop: int | None, etag: str | None
) -> AsyncIterator[bytes]:
    """Yield the bytes from `start` to before `stop`, or to the end; raises ClientError."""
    if start < 0 or (stop is not None and stop <= start):
        raise ValueError("the range of bytes is empty")
    at, fruitless = start, 0
    while True:
        before, opened = at, False
        try:
            async with caller.opened(_call(path, at, stop, etag)) as response:
                opened, ranged = True, bool(at) or stop is not None
                found = response.headers.get("ETag", etag)
                if ranged != (response.status == 206) or etag not in (None, found):
                    raise NotUnderstood("the file is another one by now")
                etag = found
                async for chunk in caller.chunks(response):
                    at += len(chunk)
                    yield chunk
                return
        except Unreachable:
            fruitless = 0 if at > before else fruitless + 1
            if not opened or fruitless > caller.retries.most or not caller.retries.most:
                raise  # what could not be opened was tried often enough
        await caller.retries.sleep(caller.retries.first)


def _call(path: str, start: int, stop: int | None, etag: str | None) -> Call:
    headers = {**_AS_IT_IS}
    if start or stop is not None:
        headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        if etag is not None:
            headers["If-Range"] = etag
    return Call(method="GET", path=path, headers=headers)


async def head(caller: Caller, path: str) -> FileInfo:
    """Return what a file is like; raises ClientError."""
    async with caller.opened(Call(method="HEAD", path=path, headers=_AS_IT_IS)) as response:
        return FileInfo(size=response.content_length or 0, etag=response.headers.get("ETag", ""))
