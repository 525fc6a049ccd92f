"""A connectivity test as it is answered: the report, or, asked with `Accept: application/x-ndjson`, a line for each step as it
begins and one with the report."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Final

from aiohttp import web

from consignee.errors import VerificationFailed
from consignee.verification import Report
from consignee.web import answers
from consignee.web.streams import finish, write

NDJSON: Final = "application/x-ndjson"
Test = Callable[..., Coroutine[Any, Any, Report]]
"""Makes a test; `under_way` hears of each step as it begins."""


def wants_lines(request: web.Request) -> bool:
    """Whether the client asks for an answer line by line."""
    return NDJSON in request.headers.get("Accept", "")


async def answer_test(request: web.Request, test: Test) -> web.StreamResponse:
    """Make a test and answer it; raises what the test raises, and VerificationFailed unless line by line."""
    if not wants_lines(request):
        report = await test()
        report.require_ok()
        return answers.success({"connectivity": report.to_json()})
    response = web.StreamResponse()
    response.content_type = NDJSON
    async with aclosing(_lines(test)) as lines:
        # Before the first step the headers are not out yet, so that wrong fields are still an ordinary 400.
        async for line in lines:
            await write(request, response, answers.encode(line) + b"\n")
    return await finish(request, response)


async def _lines(test: Test) -> AsyncGenerator[dict[str, Any], None]:
    begun: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.create_task(_made(test, begun))
    before = None
    try:
        while (step := await begun.get()) is not None:
            if step != before:
                before = step
                yield {"under_way": step}
        report = await task
        yield {"ok": report.ok, "code": report.code, "message": report.message, "connectivity": report.to_json()}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _made(test: Test, begun: asyncio.Queue[str | None]) -> Report:
    try:
        return await test(under_way=begun.put_nowait)
    except VerificationFailed as failure:
        return failure.report
    finally:
        begun.put_nowait(None)
