"""The least that aiohttp can do: a handler that answers bytes, which lie there already, and checks nothing.

python api_bare.py PORT DIRECTORY [access]; the directory holds what to answer: get, ten, hundred.
"""

import asyncio
import logging
import sys
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_log import AccessLogger

FILES = {"/destinations/{id}": "get", "/destinations": "ten", "/hundred": "hundred"}


def answers(body: bytes) -> Handler:
    """Return the handler."""

    async def handler(request: web.Request) -> web.Response:
        if request.can_read_body:
            await request.read()
        return web.Response(body=body, content_type="application/json")

    return handler


def main(port: int, directory: Path, *access: str) -> None:
    """Serve until the end."""
    app = web.Application()
    for path, name in FILES.items():
        app.router.add_route("*", path, answers((directory / name).read_bytes()))
    logging.basicConfig(level=logging.INFO)
    web.run_app(
        app,
        host="127.0.0.1",
        port=port,
        access_log=logging.getLogger("aiohttp.access") if access else None,
        access_log_class=AccessLogger,
        print=lambda _: None,
        loop=_loop(),
    )


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        import uvloop  # the product takes it where it is installed; so does this
    except ImportError:
        return None
    return uvloop.new_event_loop()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
