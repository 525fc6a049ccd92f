"""From a request straight to its handler, where its path can be read in one way alone; all others go through aiohttp's router."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from aiohttp import web
from aiohttp.hdrs import EXPECT
from aiohttp.typedefs import Handler
from aiohttp.web_urldispatcher import UrlMappingMatchInfo

from consignee.web.admission import admit
from consignee.web.errors import envelope
from consignee.web.keys import METER
from consignee.web.routes import PAGES, ROUTES

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_ID: Final = "/{id}"


class Way(NamedTuple):
    """A route, and its handler behind the middlewares."""

    route: web.AbstractRoute
    handler: Handler


class Dispatch:
    """The routes of the application by method and path, and of those that end with an id, by what is before it."""

    def __init__(self, app: web.Application, *, otherwise: Handle) -> None:
        self._app = app
        self._otherwise = otherwise
        self._ways: dict[tuple[str, str], Way] = {}
        ours = [*([app[METER].measure] if METER in app else ()), envelope, admit]
        ways = [_way(route, ours) for route in app.router.routes()]
        # What somebody else has added may be in the way of ours, or be found by other rules.
        if [*app.middlewares] == ours and [way for way, _ in ways] == [route[:2] for route in (*ROUTES, *PAGES)]:
            self._ways = dict(ways)

    def __call__(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        """Return the answer to a request, yet to be awaited."""
        assert isinstance(request, web.Request)
        handler = self._handler(request)
        return self._otherwise(request) if handler is None else handler(request)

    def _handler(self, request: web.Request) -> Handler | None:
        """Return the handler of a request, which has its match then; None if its path has to be looked at more closely."""
        path = request._message.path.partition("?")[0]
        if "{" in path:  # as no path of a route has it
            return None
        if (way := self._ways.get((request.method, path))) is not None:
            return self._matched(request, way, {})
        before, _, last = path.rpartition("/")
        if last.isascii() and last.isalnum() and (way := self._ways.get((request.method, before + _ID))) is not None:
            return self._matched(request, way, {"id": last})
        return None

    def _matched(self, request: web.Request, way: Way, found: Mapping[str, str]) -> Handler | None:
        if EXPECT in request.headers:
            return None
        match = UrlMappingMatchInfo({**found}, way.route)
        match.add_app(self._app)
        match.freeze()
        request._match_info = match
        return way.handler


def _way(route: web.AbstractRoute, middlewares: Sequence[Callable[..., Any]]) -> tuple[tuple[str, str], Way]:
    handler: Handler = route.handler
    for middleware in reversed(middlewares):
        handler = partial(middleware, handler=handler)
    return (route.method, route.resource.canonical if route.resource else ""), Way(route, handler)
