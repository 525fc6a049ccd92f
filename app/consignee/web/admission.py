"""Who is let in, and how much of the service one account may have: places for requests under way, and rates."""

import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, Self

from aiohttp import web

from consignee.rates import Rates
from consignee.settings import LimitsSettings
from consignee.web.errors import Busy
from consignee.web.keys import ADMISSION, PLACE, QUOTA
from consignee.web.rounds import ROUND, Rounds

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BYTES_PER_TOKEN: Final = 4096
"""Of a body that is parsed: they cost as much as a request."""
_LOG_EVERY: Final = 10.0
"""Seconds between two lines that say how many were turned away."""


class Places:
    """So many requests at once, and for each account at most that `share` of those that the others leave."""

    def __init__(self, most: int, *, share: float) -> None:
        self._most = most
        self._share = share
        self._taken = 0
        self._of_account: Counter[str] = Counter()

    @property
    def in_use(self) -> tuple[int, int]:
        """How many are taken, and how many there are."""
        return self._taken, self._most

    def place(self) -> "Place":
        """Return a place, to be held; entering it raises Busy if there is none."""
        return Place(self)

    def hold(self) -> None:
        """Count a request; raises Busy."""
        if self._taken >= self._most:
            raise Busy("The service has as many requests under way as it takes: come back a little later.")
        self._taken += 1

    def take(self, account: str) -> None:
        """Count a place, which is held already, as this account's; raises Busy if it has too many."""
        own = self._of_account.get(account, 0)
        others = self._taken - own - 1
        if own >= max(1, int(self._share * (self._most - others))):
            raise Busy(f"This account has {own} requests under way: come back when some of them have ended.")
        self._of_account[account] = own + 1

    def give_back(self, account: str | None) -> None:
        """A request has ended."""
        self._taken -= 1
        if account is None:
            return
        own = self._of_account[account]
        if own > 1:
            self._of_account[account] = own - 1
        else:
            del self._of_account[account]


class Place:
    """The place of one request; whose it is is known later."""

    __slots__ = ("account", "places")

    def __init__(self, places: Places) -> None:
        self.places = places
        self.account: str | None = None

    def __enter__(self) -> Self:
        self.places.hold()
        return self

    def __exit__(self, *_: object) -> None:
        self.places.give_back(self.account)

    def give(self, account: str) -> None:
        """Say whose it is; raises Busy."""
        self.places.take(account)
        self.account = account


class Admission:
    """The places and the rates of one application.

    Handlers in `exempt` are always let in; those in `long` take their time by nature, and have places of their own.
    """

    def __init__(
        self,
        limits: LimitsSettings,
        *,
        exempt: Collection[Any] = (),
        long: Collection[Any] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exempt = frozenset(exempt)
        self._long = frozenset(long)
        self._clock = clock
        self._quick_places = Places(limits.requests_in_flight, share=limits.account_share)
        self._long_places = Places(limits.streams_in_flight, share=limits.account_share)
        self._requests = Rates(
            "requests",
            what="requests",
            per_second=limits.requests_per_second,
            burst=limits.requests_burst,
            clock=clock,
        )
        self._wrong_keys = Rates(
            "wrong-keys",
            what="requests without a known API key",
            per_second=limits.wrong_keys_per_minute / 60,
            burst=limits.wrong_keys_burst,
            clock=clock,
        )
        self._rounds = Rounds(seconds=ROUND)
        self._turned_away = 0
        self._log_at = 0.0

    def places(self, handler: object) -> Places | None:
        """Return the places from which a handler's requests take one; None: they need none."""
        if handler in self._exempt:
            return None
        return self._long_places if handler in self._long else self._quick_places

    def in_use(self) -> dict[str, tuple[int, int]]:
        """Return how many places are taken, and how many there are, of each kind."""
        return {"requests": self._quick_places.in_use, "streams": self._long_places.in_use}

    async def known(self, request: web.Request, account: str) -> None:
        """Let in a request of an account, once, when it is its turn; raises RateLimited or Busy."""
        place = request[PLACE]
        if place.account is None:
            request[QUOTA] = self._requests.take(account)
            place.give(account)
            await self._rounds.turn(account)

    def charge(self, request: web.Request, size: int) -> None:
        """Count so many bytes of a body, which is going to be parsed, like requests of its account; raises RateLimited."""
        account, cost = request[PLACE].account, size // BYTES_PER_TOKEN
        if account is not None and cost:
            request[QUOTA] = self._requests.owe(account, cost=cost)

    def unknown(self, request: web.Request) -> None:
        """Count a request without a known key against the address that it is from; raises RateLimited."""
        self._wrong_keys.take(network_of(request.remote))

    def turned_away(self) -> None:
        """Note that there was no place; the log gets a line now and then."""
        self._turned_away += 1
        if self._clock() >= self._log_at:
            log.warning("turned away for want of a place: %d requests", self._turned_away)
            self._turned_away, self._log_at = 0, self._clock() + _LOG_EVERY


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a request in a place of its own; raises Busy."""
    admission = request.app[ADMISSION]
    places = admission.places(request.match_info.handler)
    if places is None:
        return await handler(request)
    try:
        with places.place() as place:
            request[PLACE] = place
            return await handler(request)
    except Busy:
        admission.turned_away()
        raise


def network_of(remote: str | None) -> str:
    """Return what counts as one address: of IPv6 the first 64 bits, for whoever has one such address has them all."""
    try:
        address = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
