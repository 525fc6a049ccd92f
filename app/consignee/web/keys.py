"""Where the application and each request keep what handlers need."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from consignee.accounts import Accounts
from consignee.collections import Collections
from consignee.rates import Quota
from consignee.rotation import Rotation
from consignee.service import Destinations
from consignee.settings import Settings
from consignee.web.followed import Followed
from consignee.web.pulse import Pulse
from consignee.web.sessions import Sessions

if TYPE_CHECKING:
    from consignee.metrics import Metrics
    from consignee.web.admission import Admission, Place
    from consignee.web.metrics import Meter
    from consignee.web.shown import Answers

Authenticate = Callable[[web.Request], Awaitable[str | None]]
"""Returns the name of the account that a request is from, or None if it is from nobody that is known."""

DESTINATIONS = web.AppKey("DESTINATIONS", Destinations)
SETTINGS = web.AppKey("SETTINGS", Settings)
AUTHENTICATE: web.AppKey[Authenticate] = web.AppKey("AUTHENTICATE")

ACCOUNTS = web.AppKey("ACCOUNTS", Accounts)
COLLECTIONS = web.AppKey("COLLECTIONS", Collections)
ROTATION = web.AppKey("ROTATION", Rotation)
DRAINING = web.AppKey("DRAINING", asyncio.Event)

PULSE = web.AppKey("PULSE", Pulse)
PATIENCE = web.AppKey("PATIENCE", float)
"""Seconds that a client gets to take a piece of an answer."""
FOLLOWED = web.AppKey("FOLLOWED", Followed)
SESSIONS = web.AppKey("SESSIONS", Sessions)
"""Of the console."""

ANSWERS: "web.AppKey[Answers]" = web.AppKey("ANSWERS")
"""Those about destinations."""
ADMISSION: "web.AppKey[Admission]" = web.AppKey("ADMISSION")
METRICS: "web.AppKey[Metrics]" = web.AppKey("METRICS")
"""What is counted and measured, if that is enabled and the extra `metrics` is installed."""
METER: "web.AppKey[Meter]" = web.AppKey("METER")

QUERY: web.RequestKey[dict[str, list[str]]] = web.RequestKey("QUERY")
"""The parameters of the query string, once they were read."""
TRACE_ID = web.RequestKey("TRACE_ID", str)
PLACE: "web.RequestKey[Place]" = web.RequestKey("PLACE")
QUOTA: web.RequestKey[Quota | None] = web.RequestKey("QUOTA")
"""What a rate leaves to the one who asks."""
BEGUN = web.RequestKey("BEGUN", web.StreamResponse)
"""The answer to the request, from when its headers go out."""
