"""The client: what belongs to the account and to the service; the rest is in its parts."""

import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp

from consignee.client.answers import Account, DestinationType
from consignee.client.calling import Call, Caller
from consignee.client.collections import Collections
from consignee.client.deliveries import Deliveries
from consignee.client.destinations import Destinations
from consignee.client.errors import ClientError
from consignee.client.place import checked_key, checked_url
from consignee.client.reading import member
from consignee.client.results import Results
from consignee.client.retries import Retries
from consignee.secret import Secret


def _new_key() -> str:
    return str(uuid.uuid4())


class Client:
    """A client of the service at `url`, with an API key.

    In `async with` it has a session of its own, which ends with it; with a `session` of yours it is ready at once, and that
    stays open. Everything raises ClientError; ValueError for a URL, a key or an id that is none.
    """

    def __init__(
        self,
        url: str,
        api_key: str | Secret,
        *,
        session: aiohttp.ClientSession | None = None,
        retries: Retries | None = None,
        new_key: Callable[[], str] = _new_key,
    ) -> None:
        self.url = checked_url(url)
        key = checked_key(api_key if isinstance(api_key, Secret) else Secret(api_key))
        self._caller = Caller(self.url, key, retries=retries or Retries(), new_key=new_key)
        self._caller.session = session
        self._own: aiohttp.ClientSession | None = None
        self.destinations = Destinations(self._caller)
        self.collections = Collections(self._caller)
        self.results = Results(self._caller)
        self.deliveries = Deliveries(self._caller)

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    async def __aenter__(self) -> Self:
        if self._caller.session is None:
            # A proxy of the environment would get to see the key: there is none.
            self._own = self._caller.session = aiohttp.ClientSession(trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own is not None:
            self._caller.session = None
            own, self._own = self._own, None
            await own.close()

    async def account(self) -> Account:
        """Return how much the account uses, and may use."""
        answer = await self._caller.ask(Call(method="GET", path="/account"))
        found: Account = member(answer, "account_info", Account)
        return found

    async def destination_types(self) -> tuple[DestinationType, ...]:
        """Return the types of destinations that the service has, with their fields."""
        answer = await self._caller.ask(Call(method="GET", path="/destination-types"))
        found: tuple[DestinationType, ...] = member(answer, "destination_types", tuple[DestinationType, ...])
        return found

    async def alive(self) -> bool:
        """Return whether the service answers at all; it is asked once."""
        return await self._is_well("/healthz")

    async def ready(self) -> bool:
        """Return whether the service can do its work: it can write its store, and is not stopping. It is asked once."""
        return await self._is_well("/readyz")

    async def _is_well(self, path: str) -> bool:
        try:
            await self._caller.ask(Call(method="GET", path=path, patient=False))
        except ClientError:
            return False
        return True
