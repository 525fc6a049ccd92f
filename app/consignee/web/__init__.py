"""consignee over HTTP: an aiohttp application of its own, or a part of yours.

    app = web.Application()
    setup(app, settings, prefix="/storage", authenticate=who_is_asking)

The host application keeps its event loop, signals, loggers and environment.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from aiohttp import web
from aiohttp.abc import AbstractResolver

from consignee.accounts import open_accounts
from consignee.opening import open_destinations
from consignee.providers import Provider
from consignee.settings import Settings
from consignee.store import Store
from consignee.web.admission import Admission, admit
from consignee.web.answers import dress_response
from consignee.web.auth import by_api_key
from consignee.web.errors import envelope
from consignee.web.followed import Followed
from consignee.web.keys import (
    ACCOUNTS,
    ADMISSION,
    ANSWERS,
    AUTHENTICATE,
    COLLECTIONS,
    DESTINATIONS,
    DRAINING,
    FOLLOWED,
    PATIENCE,
    ROTATION,
    SETTINGS,
    Authenticate,
)
from consignee.web.routes import EXEMPT, LONG, add_routes
from consignee.web.shown import Answers
from consignee.web.streams import PATIENCE_SECONDS

__all__ = ["AUTHENTICATE", "DESTINATIONS", "SETTINGS", "Authenticate", "create_app", "setup"]


def create_app(
    settings: Settings,
    *,
    authenticate: Authenticate | None = None,
    store: Store | None = None,
    providers: Iterable[Provider] | None = None,
    resolver: AbstractResolver | None = None,
) -> web.Application:
    """Return the application; it opens everything when it starts and closes it when it ends.

    `authenticate` says whose a request is, in place of API keys. A `store` that is given must be open by then.
    `providers` take the place of the built-in destination types, `resolver` that of the system's.
    """
    app = web.Application(middlewares=[envelope, admit])
    app[SETTINGS] = settings
    app[ADMISSION] = Admission(settings.limits, exempt=EXEMPT, long=LONG)
    app[DRAINING] = asyncio.Event()
    app[PATIENCE] = PATIENCE_SECONDS
    app[FOLLOWED] = Followed()
    app.on_shutdown.append(_drain)
    app.on_response_prepare.append(dress_response)
    app.cleanup_ctx.append(_running(authenticate, store, providers, resolver))
    add_routes(app)
    return app


def setup(
    app: web.Application,
    settings: Settings,
    *,
    prefix: str,
    authenticate: Authenticate | None = None,
    store: Store | None = None,
    providers: Iterable[Provider] | None = None,
    resolver: AbstractResolver | None = None,
) -> web.Application:
    """Serve consignee under a path of another application, such as `/storage`; returns the part that was added.

    The other arguments are those of `create_app`.
    """
    part = create_app(settings, authenticate=authenticate, store=store, providers=providers, resolver=resolver)
    app.add_subapp(prefix, part)
    return part


async def _drain(app: web.Application) -> None:
    """Also a host application that stops need not wait for those who only listen."""
    app[DRAINING].set()


def _running(
    authenticate: Authenticate | None,
    store: Store | None,
    providers: Iterable[Provider] | None,
    resolver: AbstractResolver | None,
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def running(app: web.Application) -> AsyncIterator[None]:
        settings = app[SETTINGS]
        async with open_destinations(settings, store=store, providers=providers, resolver=resolver) as destinations:
            app[DESTINATIONS] = destinations
            app[COLLECTIONS] = destinations.dispatch.collections
            app[ANSWERS] = Answers(destinations)
            app[ROTATION] = destinations.rotation
            app[ACCOUNTS] = accounts = await open_accounts(
                destinations.store, sealer=destinations.sealer, fixed=settings.accounts.fixed
            )
            app[AUTHENTICATE] = authenticate or by_api_key(accounts)
            yield

    return running
