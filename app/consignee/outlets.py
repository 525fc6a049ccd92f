"""The guarded sessions of one service, and which of them a destination type uses."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver

from consignee import proxy
from consignee.egress import AllowRule, Policy, open_session
from consignee.providers.base import Provider
from consignee.proxy import Proxy
from consignee.settings import EgressSettings, ProviderSettings, Settings
from consignee.tracing import listeners
from consignee.transport import Parts, Trace, Transport

_STAGING_SECONDS: Final = 12.0
"""Without any progress at the staging bucket."""


def policy(settings: EgressSettings) -> Policy:
    """Return the egress policy that the settings describe."""
    allow = tuple(AllowRule.parse(entry) for entry in settings.allow)
    return Policy(allow=allow, allow_http=settings.allow_http, allow_names=settings.allow_names)


class Outlets:
    """One session for what customers name, and one for the operator's own endpoints; neither carries the other's requests."""

    def __init__(self, customers: aiohttp.ClientSession, operators: aiohttp.ClientSession, settings: Settings) -> None:
        self._customers = customers
        self._operators = operators
        self._settings = settings
        delivery = settings.delivery
        self._parts = Parts(delivery.part_threshold, delivery.part_size, delivery.parts_at_once)

    def transport(self, provider: Provider, trace: Trace | None = None) -> Transport:
        """Return the transport for a destination of a provider."""
        own = self._settings.providers.get(provider.type, ProviderSettings()).endpoint_url
        session = self._operators if own else self._customers
        idle, least = self._settings.delivery.idle_timeout, self._settings.delivery.least_bytes_per_second
        return Transport(session, endpoint_url=own, trace=trace, parts=self._parts, idle=idle, least=least)

    def staging(self, endpoint_url: str) -> Transport:
        """Return the transport for the bucket in which the operator keeps the files of result sets.

        What is read there is sent to a customer's storage at the same time, for which patience must not be lost first, although
        it is tried three times.
        """
        idle = min(_STAGING_SECONDS, self._settings.delivery.idle_timeout / 5)
        return Transport(self._operators, endpoint_url=endpoint_url, idle=idle)

    def webhooks(self) -> aiohttp.ClientSession:
        """Return the session for addresses that customers name for messages; make requests with `allow_redirects=False`."""
        return self._customers


@asynccontextmanager
async def open_outlets(
    settings: Settings, *, resolver: AbstractResolver | None = None, session: aiohttp.ClientSession | None = None
) -> AsyncIterator[Outlets]:
    """Yield the sessions, and close them; `resolver` takes the place of the system's. Only what customers name is proxied.

    Whoever listens to the requests of `session` listens to those of ours; raises SettingsError, as `listeners` does.
    """
    rules, given = policy(settings.egress), settings.egress
    opened = partial(proxy.open_session, proxy=Proxy(given.proxy, given.proxy_auth)) if given.proxy else open_session
    options: dict[str, Any] = {
        "resolver": resolver,
        "ca_file": given.ca_file,
        "trace_configs": listeners(session),
    }
    async with (
        opened(rules, **options) as customers,
        open_session(rules, trusted=True, **options) as operators,
    ):
        yield Outlets(customers, operators, settings)
