"""consignee as a part of your own aiohttp application, under /storage, with your own login."""

from pathlib import Path

from aiohttp import web

from consignee import load_settings
from consignee.web import setup

SESSIONS: dict[str, str] = {}  # yours: from a session's token to the customer's id


async def who_is_asking(request: web.Request) -> str | None:
    return SESSIONS.get(request.headers.get("X-Session", ""))


app = web.Application()
setup(app, load_settings(Path("consignee.toml")), prefix="/storage", authenticate=who_is_asking)

if __name__ == "__main__":
    web.run_app(app)
