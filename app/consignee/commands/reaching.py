"""How commands reach the server that has the store open, if one has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from consignee.control import is_served, socket_path
from consignee.settings import StoreSettings

PATIENT: Final = aiohttp.ClientTimeout(total=None)
"""For what takes as long as it takes."""


@asynccontextmanager
async def running_server(
    settings: StoreSettings, *, timeout: aiohttp.ClientTimeout = PATIENT
) -> AsyncIterator[aiohttp.ClientSession | None]:
    """Yield a session to `http://control`, or None if the store can be opened: nobody has it, or all who have it share it."""
    if settings.url:
        yield None
        return
    with socket_path(settings.path) as path:
        if not is_served(path):
            yield None
            return
        connector = aiohttp.UnixConnector(path=path)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            yield session
