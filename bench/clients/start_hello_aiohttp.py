"""A service of one route on aiohttp, which prints a line when it answers."""

import asyncio

from aiohttp import web


async def hello(request: web.Request) -> web.Response:
    """GET /"""
    return web.json_response({"hello": "world"})


async def main() -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
