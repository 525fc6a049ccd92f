"""GET /metrics, and the counting of requests. Unless it is enabled, nothing is counted, and prometheus_client is not loaded."""

import asyncio
import hmac
import logging
from bisect import bisect_left
from time import perf_counter
from typing import Final

from aiohttp import web
from aiohttp.hdrs import ACCEPT, AUTHORIZATION
from aiohttp.typedefs import Handler

from consignee.errors import NotFound
from consignee.events import Events, OnEvent
from consignee.metrics import Metrics, is_installed
from consignee.metrics.tally import Cell, Labels
from consignee.secret import Secret
from consignee.web import answers
from consignee.web.auth import BEARER
from consignee.web.connections import Connections
from consignee.web.errors import BadRequest
from consignee.web.keys import ADMISSION, DESTINATIONS, METER, METRICS, SETTINGS

log = logging.getLogger(__name__)

MISSING: Final = (
    "Metrics need a package that is not installed. The operator has to run: pip install 'consignee[metrics]'"
)
OTHER: Final = "other"
"""In place of the route and the method of what no route is for: a client may send anything."""
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0"
"""What may be asked for instead of Prometheus' own text; of either there is one, whatever else a client accepts."""
BROKEN_OFF: Final = 499
"""The status of what was not answered, since the client went away or the service stopped."""


class Meter:
    """Counts the requests of one application, and answers with all that is known. `connections` are those of our own server."""

    def __init__(self, app: web.Application, metrics: Metrics) -> None:
        self.connections: Connections | None = None
        self._app = app
        self._metrics = metrics
        self._counts = metrics.requests.counts.numbers
        self._bounds = metrics.requests.seconds.bounds
        # As they are now, without the prefix under which the application may come to lie.
        self._templates = {route: (_template(route), route.method) for route in app.router.routes()}
        self._known: dict[tuple[web.AbstractRoute, int], tuple[Labels, Cell]] = {}
        self._turn = asyncio.Lock()
        self._begun = 0
        self._last: dict[str, tuple[int, tuple[bytes, str]]] = {}

    @web.middleware
    async def measure(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request, and count it."""
        began, status = perf_counter(), BROKEN_OFF
        try:
            response = await handler(request)
            status = response.status
            return response
        finally:
            seconds, place = perf_counter() - began, (request.match_info.route, status)
            labels, cell = self._known.get(place) or self._know(*place)
            self._counts[labels] += 1
            cell.counts[bisect_left(self._bounds, seconds)] += 1
            cell.sum += seconds

    def _know(self, route: web.AbstractRoute, status: int) -> tuple[Labels, Cell]:
        template, method = self._templates.get(route, (OTHER, OTHER))
        labels = (template, method, str(status))
        self._counts.setdefault(labels, 0)
        cell = self._metrics.requests.seconds.cells.setdefault((template, method), Cell(len(self._bounds)))
        if route in self._templates:  # of others there is a new one for each request
            self._known[route, status] = labels, cell
        return labels, cell

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """Return all of it as text, and the type of that; who waits for his turn gets the same as the others who do."""
        kind, came = OPEN_METRICS if OPEN_METRICS.partition(";")[0] in accept else "", self._begun
        async with self._turn:
            if kind not in self._last or self._last[kind][0] <= came:
                self._begun = number = self._begun + 1
                self._last[kind] = number, await self._made(kind)
            return self._last[kind][1]

    async def _made(self, accept: str) -> tuple[bytes, str]:
        state = self._metrics.state
        for name, (in_use, most) in self._app[ADMISSION].in_use().items():
            state.places.set(name, to=most)
            state.in_use.set(name, to=in_use)
        if self.connections is not None:
            state.connections.set(to=len(self.connections))
            state.most_connections.set(to=self.connections.most)
        await self._metrics.look(self._app[DESTINATIONS])
        return self._metrics.render(accept)


def _template(route: web.AbstractRoute) -> str:
    return route.resource.canonical if route.resource is not None else OTHER


def metered(app: web.Application, on_event: OnEvent | None) -> OnEvent | None:
    """Have the application count what it does, if the settings say so; returns who is to be told of events then."""
    settings = app[SETTINGS].metrics
    if not settings.enabled:
        return on_event
    if not is_installed():
        log.warning("metrics are enabled, but: %s", MISSING)
        return on_event
    if settings.token is None and not settings.public:
        log.warning("metrics are enabled, but nobody may read them: set metrics.token, or metrics.public")
    app[METRICS] = metrics = Metrics(by_account=settings.by_account)
    app[METER] = meter = Meter(app, metrics)
    app.middlewares.insert(0, meter.measure)
    events = Events(metrics.hear)
    if on_event is not None:
        events.listen(on_event)
    return events.tell


async def scrape(request: web.Request) -> web.Response:
    """GET /metrics"""
    settings = request.app[SETTINGS].metrics
    if not settings.enabled:
        raise NotFound("Metrics are not enabled here.")
    if not settings.public:
        _require(settings.token, request)
    if METER not in request.app:
        return answers.failure(503, "unavailable", MISSING)
    body, content_type = await request.app[METER].scrape(",".join(request.headers.getall(ACCEPT, ())))
    return web.Response(body=body, headers={"Content-Type": content_type})


def _require(token: Secret | None, request: web.Request) -> None:
    """Raise BadRequest unless the request has the token, or RateLimited if too many had not."""
    match = BEARER.fullmatch(request.headers.get(AUTHORIZATION, ""))
    given = match[1] if match else ""
    if token is None or not hmac.compare_digest(given.encode(errors="surrogateescape"), token.reveal().encode()):
        request.app[ADMISSION].unknown(request)
        raise BadRequest("unauthorized", "The token for metrics is missing or wrong.")
