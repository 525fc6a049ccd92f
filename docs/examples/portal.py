"""A customer portal with its own login, in which customers manage their destinations: consignee lies under /storage."""

import asyncio
import hashlib
import hmac
import logging
import secrets
from pathlib import Path

from aiohttp import web

from consignee import Settings, load_settings
from consignee.events import Event
from consignee.web import DESTINATIONS, setup

COOKIE = "login"
LOGINS = web.AppKey("LOGINS", dict[str, str])  # from a cookie to the id of a customer
STORAGE = web.AppKey("STORAGE", web.Application)
PASSWORDS: dict[str, tuple[str, bytes, str]] = {}  # yours: from a name to an id that never changes, a salt and a digest

log = logging.getLogger("portal")


def digest(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32).hex()


async def who_is_asking(request: web.Request) -> str | None:
    """Return the customer's id; also consignee asks this."""
    return request.config_dict[LOGINS].get(request.cookies.get(COOKIE, ""))


async def log_in(request: web.Request) -> web.Response:
    form = await request.post()
    customer, salt, known = PASSWORDS.get(str(form.get("name")), ("", b"", ""))
    given = await asyncio.to_thread(digest, str(form.get("password")), salt)
    if not hmac.compare_digest(given, known):
        raise web.HTTPUnauthorized(text="The name or the password is wrong.")
    token = secrets.token_urlsafe()
    request.app[LOGINS][token] = customer
    answer = web.Response(text="Welcome.")
    # Strict: no page elsewhere can make a customer's browser register a bucket with this cookie.
    answer.set_cookie(COOKIE, token, httponly=True, secure=True, samesite="Strict")
    return answer


async def log_out(request: web.Request) -> web.Response:
    request.app[LOGINS].pop(request.cookies.get(COOKIE, ""), None)
    return web.Response(text="Good bye.")


async def home(request: web.Request) -> web.Response:
    if (customer := await who_is_asking(request)) is None:
        raise web.HTTPUnauthorized(text="Log in first.")
    usage = await request.app[STORAGE][DESTINATIONS].usage(customer)
    return web.Response(text=f"You have {usage.used} of {usage.limit} destinations.")


def told(event: Event) -> None:
    log.info("%s", event)  # yours: a mail to the customer, a number in your statistics


def portal(settings: Settings) -> web.Application:
    app = web.Application()
    app[LOGINS] = {}
    app.add_routes([web.post("/login", log_in), web.post("/logout", log_out), web.get("/", home)])
    app[STORAGE] = setup(app, settings, prefix="/storage", authenticate=who_is_asking, on_event=told)
    return app


if __name__ == "__main__":
    web.run_app(portal(load_settings(Path("consignee.toml"))))
