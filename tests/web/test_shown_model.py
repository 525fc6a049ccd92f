"""Whatever happens in whatever order: what lies ready is what would be answered if it were made just now."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from consignee import Destinations, open_destinations
from consignee.delivery import conditions
from consignee.destination import Destination
from consignee.errors import AccessDenied, ConsigneeError, NotFound, TimedOut
from consignee.listing import Listing
from consignee.providers import Provider
from consignee.settings import Settings
from consignee.web.answers import encode
from consignee.web.shown import MOST_BYTES, Answers

from .conftest import FIELDS

ACCOUNTS = ("ann", "bob")
LISTINGS = (
    Listing(),
    Listing(page_size=2, page=2),
    Listing(enabled=True),
    Listing(enabled=False, sort_direction="descending"),
    Listing(sort_by="name", sort_direction="descending"),
    Listing(sort_by="type", type="memory"),
    Listing(search_term="A"),
)


@dataclass
class Life:
    """What goes on in two accounts, by chance; and what would be answered about them."""

    destinations: Destinations
    random: random.Random
    known: dict[str, list[str]] = field(default_factory=lambda: {account: [] for account in ACCOUNTS})
    collections: dict[str, list[str]] = field(default_factory=lambda: {account: [] for account in ACCOUNTS})

    async def go_on(self) -> None:
        """Do something, also what can't be done."""
        account = self.random.choice(ACCOUNTS)
        if not self.known[account]:
            await self.create(account, "")
            return
        steps: tuple[Callable[[str, str], Awaitable[Any]], ...] = (
            self.create,
            self.update,
            self.collect,
            self.uncollect,
            self.fail,
            self.destinations.delete,
            self.destinations.test_saved,
            self.destinations.dispatch.conditions.succeeded,
            self.disable,
            self.reseal,
        )
        with suppress(ConsigneeError):
            await self.random.choice(steps)(account, self.random.choice(self.known[account]))

    async def create(self, account: str, id: str) -> None:  # noqa: A002
        """Make a destination, perhaps in place of one of that id that was deleted, or of another account's."""
        fields = {**FIELDS, "name": self.random.choice("aAbé"), "enabled": self.random.random() < 0.4}
        taken = self.random.choice([id, *self.known["ann"], *self.known["bob"], "", ""])
        made = await self.destinations.create(account, fields, id=taken)
        self.known[account] = list(dict.fromkeys([*self.known[account], made.id]))

    async def update(self, account: str, id: str) -> None:  # noqa: A002
        """Change one thing about it."""
        change: Mapping[str, Any] = self.random.choice([{"name": "other"}, {"enabled": True}, {"enabled": False}])
        await self.destinations.update(account, id, change)

    async def collect(self, account: str, id: str) -> None:  # noqa: A002
        """Let one more collection name it."""
        fields = {"name": "Reports", "destination_ids": [id]}
        self.collections[account].append((await self.destinations.dispatch.collections.create(account, fields)).id)

    async def uncollect(self, account: str, _: str) -> None:
        """Let the newest collection be no more."""
        if self.collections[account]:
            await self.destinations.dispatch.collections.delete(account, self.collections[account].pop())

    async def fail(self, account: str, id: str) -> None:  # noqa: A002
        """Let a delivery to it fail, as it may pass or not."""
        failure = self.random.choice([AccessDenied, TimedOut])("It failed.")
        await self.destinations.dispatch.conditions.failed(account, id, failure)

    async def disable(self, account: str, id: str) -> None:  # noqa: A002
        """Disable it as the engine does."""
        await self.destinations.disable(await self.destinations.get(account, id))

    async def reseal(self, _account: str, _id: str) -> None:
        """Let another key seal."""
        await self.destinations.rotation.rotate()

    async def one(self, account: str, id: str) -> bytes:  # noqa: A002
        """Return the answer about a destination, made just now; raises NotFound."""
        destination = await self.destinations.get(account, id)
        return await self._answer(account, {"destination": await self._shown(destination)})

    async def page(self, account: str, listing: Listing) -> bytes:
        """Return the answer that lists destinations, made just now."""
        page = await self.destinations.list(account, listing)
        shown = [await self._shown(one) for one in page.destinations]
        return await self._answer(account, {"destinations": shown, "pagination": page.to_json()})

    async def _answer(self, account: str, content: dict[str, Any]) -> bytes:
        usage = (await self.destinations.usage(account)).to_json()
        return encode({"request_info": {"success": True}, "usage": usage, **content})

    async def _shown(self, destination: Destination) -> dict[str, Any]:
        dispatch, account = self.destinations.dispatch, destination.account
        uses = Counter(id_ for one in await dispatch.collections.list(account) for id_ in one.destination_ids)
        return {
            **{name: getattr(destination, name) for name in ("id", "name", "type", "enabled")},
            "used_by": uses[destination.id],
            **self.destinations.catalog.view(destination),
            **{name: getattr(destination, name) for name in ("created_at", "updated_at", "last_test")},
            "deliveries": conditions.view(dispatch.conditions.of(account, destination.id)),
        }


@pytest.mark.parametrize("most_bytes", [20_000, MOST_BYTES])
@pytest.mark.parametrize("seed", range(3))
async def test_what_lies_ready_is_what_is_so(
    settings: Settings, providers: list[Provider], seed: int, most_bytes: int
) -> None:
    """Of both accounts, for each that was ever there, and for lists of every sort; and no more is kept than may be."""
    limits = replace(settings.limits, destinations_per_account=8)
    async with open_destinations(replace(settings, limits=limits), providers=providers) as destinations:
        answers, life = Answers(destinations, most_bytes=most_bytes), Life(destinations, random.Random(seed))
        for _ in range(60):
            await life.go_on()
            for account in ACCOUNTS:
                listing = life.random.choice(LISTINGS)
                assert await answers.page(account, listing) == await life.page(account, listing)
                for id_ in life.known[account]:
                    assert await _or_none(answers.one(account, id_)) == await _or_none(life.one(account, id_))
            assert 0 < answers.size <= most_bytes
        assert all(life.known.values())


async def _or_none(answer: Awaitable[bytes]) -> bytes | None:
    try:
        return await answer
    except NotFound:
        return None
