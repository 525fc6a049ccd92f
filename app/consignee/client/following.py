"""The deliveries of a result set as they go on: server-sent events, over as many connections as it takes."""

from collections.abc import AsyncIterator

from consignee.client.calling import Call, Caller
from consignee.client.errors import Unreachable
from consignee.client.progress import Progress
from consignee.client.reading import read
from consignee.client.understanding import events, object_in


async def follow(caller: Caller, path: str) -> AsyncIterator[Progress]:
    """Yield the progress at once and after each change, until nothing more is to come; raises ClientError."""
    fruitless, before = 0, None
    while True:
        seen = 0
        async for progress in _stream(caller, path):
            if progress is None:
                return
            seen += 1
            if progress != before:
                yield progress
            before = progress
        fruitless = 0 if seen else fruitless + 1
        if fruitless > caller.retries.most:
            raise Unreachable(f"the service at {caller.url} tells nothing of the result set")
        await caller.retries.sleep(caller.retries.first)


async def _stream(caller: Caller, path: str) -> AsyncIterator[Progress | None]:
    """Yield what comes over one connection, until it breaks; None says that nothing more is to come."""
    async with caller.opened(Call(method="GET", path=path)) as response:
        try:
            async for name, data in events(caller.chunks(response)):
                if name == "end":
                    yield None
                elif name == "status":
                    yield read(Progress, object_in(data))
        except Unreachable:
            if not caller.retries.most:
                raise
