"""consignee over HTTP: an aiohttp application of its own, or a part of yours.

    app = web.Application()
    setup(app, settings, prefix="/storage", authenticate=who_is_asking)

The host application keeps its event loop, signals, loggers and environment.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial

from aiohttp import ClientSession, web
from aiohttp.abc import AbstractResolver

from consignee.accounts import open_accounts
from consignee.events import OnEvent
from consignee.opening import open_destinations
from consignee.providers import Provider
from consignee.service import Destinations
from consignee.settings import Settings
from consignee.store import Store
from consignee.tracing import listeners
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
    METRICS,
    PATIENCE,
    PULSE,
    ROTATION,
    SESSIONS,
    SETTINGS,
    Authenticate,
)
from consignee.web.metrics import metered
from consignee.web.placing import place
from consignee.web.pulse import Pulse
from consignee.web.routes import EXEMPT, LONG, add_routes
from consignee.web.sessions import Sessions
from consignee.web.shown import Answers
from consignee.web.streams import PATIENCE_SECONDS

__all__ = [
    "AUTHENTICATE",
    "DESTINATIONS",
    "METRICS",
    "SETTINGS",
    "Authenticate",
    "Session",
    "create_app",
    "create_worker",
    "setup",
]

Session = ClientSession | Callable[[], ClientSession]
"""A session of the application around us, or what returns it when that application starts, for it is made in its loop."""


def create_app(
    settings: Settings,
    *,
    authenticate: Authenticate | None = None,
    store: Store | None = None,
    session: Session | None = None,
    on_event: OnEvent | None = None,
    providers: Iterable[Provider] | None = None,
    resolver: AbstractResolver | None = None,
    delivers: bool = True,
) -> web.Application:
    """Return the application; it opens everything when it starts and closes it when it ends.

    `authenticate` says whose a request is, in place of API keys. A `store` that is given must be open by then. The trace
    configs of a `session` hear of our requests; raises SettingsError for one with what can't be carried over. `on_event` is
    told what happens. `providers` take the place of the built-in destination types, `resolver` that of the system's. Unless it
    `delivers`, that is left to the workers of its store.
    """
    if isinstance(session, ClientSession):
        listeners(session)
    app = _new(settings)
    add_routes(app)
    told = metered(app, on_event)

    def opened() -> AbstractAsyncContextManager[Destinations]:
        made = session() if callable(session) else session
        return open_destinations(
            settings,
            store=store,
            session=made,
            on_event=told,
            providers=providers,
            resolver=resolver,
            delivers=delivers,
        )

    app.cleanup_ctx.append(_running(authenticate, opened))
    return app


def create_worker(settings: Settings) -> web.Application:
    """Return the application of a process that only delivers: over HTTP it says how it is, and nothing else."""
    app = _new(settings)
    add_routes(app, only=EXEMPT)
    app.cleanup_ctx.append(_running(None, partial(open_destinations, settings, on_event=metered(app, None))))
    return app


def _new(settings: Settings) -> web.Application:
    app = web.Application(middlewares=[envelope, admit])
    app[SETTINGS] = settings
    app[ADMISSION] = Admission(settings.limits, exempt=EXEMPT, long=LONG)
    app[DRAINING] = asyncio.Event()
    app[PATIENCE] = PATIENCE_SECONDS
    app[FOLLOWED] = Followed()
    app[SESSIONS] = Sessions()
    app.on_shutdown.append(_drain)
    app.on_response_prepare.append(dress_response)
    return app


def setup(
    app: web.Application,
    settings: Settings,
    *,
    prefix: str,
    authenticate: Authenticate | None = None,
    store: Store | None = None,
    session: Session | None = None,
    on_event: OnEvent | None = None,
    providers: Iterable[Provider] | None = None,
    resolver: AbstractResolver | None = None,
    delivers: bool = True,
) -> web.Application:
    """Serve consignee under a path of another application, such as `/storage`; returns the part that was added.

    With the prefix "", our routes lie among those of the application, whose own go first. The other arguments are those of
    `create_app`. Raises ValueError for a wrong prefix or one that consignee has already, RuntimeError if the application runs.
    """
    part = create_app(
        settings,
        authenticate=authenticate,
        store=store,
        session=session,
        on_event=on_event,
        providers=providers,
        resolver=resolver,
        delivers=delivers,
    )
    place(app, part, prefix)
    return part


async def _drain(app: web.Application) -> None:
    """Also a host application that stops need not wait for those who only listen."""
    app[DRAINING].set()


def _running(
    authenticate: Authenticate | None, opened: Callable[[], AbstractAsyncContextManager[Destinations]]
) -> Callable[[web.Application], AsyncIterator[None]]:
    async def running(app: web.Application) -> AsyncIterator[None]:
        settings = app[SETTINGS]
        async with opened() as destinations:
            app[DESTINATIONS] = destinations
            app[PULSE] = Pulse(destinations.store)
            app[COLLECTIONS] = destinations.dispatch.collections
            app[ANSWERS] = Answers(destinations)
            app[ROTATION] = destinations.rotation
            app[ACCOUNTS] = accounts = await open_accounts(
                destinations.store, sealer=destinations.sealer, fixed=settings.accounts.fixed
            )
            app[AUTHENTICATE] = authenticate or by_api_key(accounts, app[SESSIONS])
            yield

    return running
