"""Opens everything that the service needs, and closes it again in the right order."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp.abc import AbstractResolver

from consignee.agenda import Agenda
from consignee.catalog import Catalog
from consignee.leftovers import Leftovers
from consignee.outlets import open_outlets, policy
from consignee.providers import Provider, discover
from consignee.removal import Remover
from consignee.reverification import Reverification
from consignee.sealing_key import load_sealer
from consignee.service import Destinations
from consignee.settings import Settings
from consignee.store import Store
from consignee.store.json_file import JsonFileStore
from consignee.tester import Tester


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Yield the store that the settings name, open; raises StoreUnusable."""
    store = JsonFileStore(Path(settings.store.path))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def open_destinations(
    settings: Settings,
    *,
    store: Store | None = None,
    providers: Iterable[Provider] | None = None,
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[Destinations]:
    """Yield the service, ready for use; raises StoreUnusable or SettingsError if it can't be.

    A `store` that is given must be open, and stays open. `providers` take the place of the built-in destination types.
    """
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_store(settings)) if store is None else store
        sealer = await load_sealer(settings.secrets, opened)
        outlets = await stack.enter_async_context(open_outlets(settings, resolver=resolver))
        types = discover().values() if providers is None else providers
        catalog = Catalog(types, policy(settings.egress))
        agenda = Agenda()
        stack.push_async_callback(agenda.close)
        remover = Remover(
            Leftovers(opened, sealer=sealer),
            catalog=catalog,
            outlets=outlets,
            agenda=agenda,
            timeout=settings.verification.timeout,
        )
        await remover.take_up()
        tester = Tester(settings.verification, catalog=catalog, outlets=outlets, remover=remover)
        destinations = Destinations(opened, sealer=sealer, catalog=catalog, tester=tester, limits=settings.limits)
        if (period := settings.verification.period) is not None:
            Reverification(destinations, period=period, turns=tester.turns, agenda=agenda).start()
        yield destinations
