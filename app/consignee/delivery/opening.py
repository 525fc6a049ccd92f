"""Sets to work what delivers, and ends it in the right order."""

import random as chance
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from consignee.agenda import Agenda
from consignee.delivery.assembly import Assembly
from consignee.delivery.dispatch import Dispatch
from consignee.outlets import Outlets
from consignee.secret import Sealer
from consignee.service import Destinations
from consignee.settings import Settings
from consignee.tenure import Tenure


@asynccontextmanager
async def open_dispatch(
    settings: Settings,
    destinations: Destinations,
    *,
    sealer: Sealer,
    outlets: Outlets,
    agenda: Agenda,
    now: Callable[[], float] = time.time,
    random: Callable[[], float] = chance.random,
    delivers: bool = True,
    tenure: Tenure | None = None,
) -> AsyncIterator[Dispatch]:
    """Yield it, at work; raises StoreUnusable, StoreError. In the end, what is under way gets the server's time to stop.

    Unless it `delivers`, it claims nothing, and only does what else there is to do.
    """
    parts = Assembly(
        settings,
        destinations,
        sealer=sealer,
        outlets=outlets,
        agenda=agenda,
        now=now,
        random=random,
        clock=time.monotonic,
        delivers=delivers,
        tenure=tenure,
    )
    try:
        await parts.open()
        parts.dispatch.start()
        yield parts.dispatch
    finally:
        await parts.dispatch.stop(settings.server.shutdown_timeout)
        await parts.close()
