"""Opens everything that the service needs, and closes it again in the right order."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession
from aiohttp.abc import AbstractResolver

from consignee.agenda import Agenda
from consignee.catalog import Catalog
from consignee.delivery.opening import open_dispatch
from consignee.errors import SettingsError, StoreUnusable
from consignee.events import Events, OnEvent
from consignee.leftovers import Leftovers
from consignee.outlets import Outlets, open_outlets, policy
from consignee.providers import Provider, discover
from consignee.providers.extras import tell_missing
from consignee.rates import Rates
from consignee.removal import Remover
from consignee.reverification import Reverification
from consignee.rotation import Rotation
from consignee.sealing_key import load_sealer
from consignee.service import Destinations
from consignee.settings import Settings, StagingSettings, StoreSettings
from consignee.store import Store
from consignee.store.directory import RESTORING
from consignee.store.json_file import JsonFileStore
from consignee.store.memory import MemoryStore
from consignee.tenure import Tenure
from consignee.tester import Tester


def require_store(settings: Settings) -> None:
    """Raise SettingsError if there is no store yet where the settings say: for what must not make one. Raises OSError."""
    if settings.store.url:  # a database is made by `consignee migrate` alone
        return
    place = Path(settings.store.path)
    if not ((place / RESTORING).exists() or _holds_documents(place)):
        raise SettingsError(
            f"there is no store in {place.absolute()}: give --config, and run this where the service runs"
        )


def _holds_documents(place: Path) -> bool:
    return place.is_dir() and any(place.glob("*.jsonl"))


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Yield the store that the settings name, open; raises StoreUnusable, MissingExtra."""
    store = _store(settings.store)
    await store.open()
    try:
        _require_moved(store, Path(settings.store.path))
        yield store
    finally:
        await store.close()


def _require_moved(store: Store, place: Path) -> None:
    """Whose store was a directory so far must not find a service without any of it."""
    if store.shared and not store.kinds() and _holds_documents(place):
        raise StoreUnusable(
            f"the database is empty, but there is a store in {place.absolute()}: move it by consignee store copy, or let"
            " store.path name a directory without one"
        )


def _store(settings: StoreSettings) -> Store:
    if not settings.url:
        return JsonFileStore(Path(settings.path))
    from consignee.postgres.database import Database
    from consignee.store.postgres import PostgresStore

    return PostgresStore(Database(settings.url, timeout=settings.timeout, most=settings.connections))


@asynccontextmanager
async def open_destinations(
    settings: Settings,
    *,
    store: Store | None = None,
    session: ClientSession | None = None,
    on_event: OnEvent | None = None,
    providers: Iterable[Provider] | None = None,
    resolver: AbstractResolver | None = None,
    delivers: bool = True,
) -> AsyncIterator[Destinations]:
    """Yield the service, ready for use; raises StoreUnusable or SettingsError if it can't be.

    A `store` that is given must be open, and stays open; with a MemoryStore, the files of result sets are in a temporary
    directory unless the settings name one. The trace configs of a `session` hear of our requests; it is not used otherwise.
    `on_event` is told what happens. `providers` take the place of the built-in destination types. Unless it `delivers`, that is
    left to the workers of a store that is shared.
    """
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_store(settings)) if store is None else store
        if not (delivers or opened.shared):
            raise SettingsError("nobody else could deliver: to leave that to workers, set store.url")
        settings = stack.enter_context(_with_a_spool(settings, opened))
        sealer = await load_sealer(settings.secrets, opened)
        outlets = await stack.enter_async_context(open_outlets(settings, resolver=resolver, session=session))
        types = [*(discover().values() if providers is None else providers)]
        await tell_missing(types)
        catalog = Catalog(types, policy(settings.egress))
        agenda = Agenda()
        stack.push_async_callback(agenda.close)
        tenure = await stack.enter_async_context(_tenure(opened, agenda))
        parts: dict[str, Any] = {"outlets": outlets, "agenda": agenda, "tenure": tenure}
        leftovers = Leftovers(opened, sealer=sealer)
        remover = Remover(leftovers, catalog=catalog, **parts, timeout=settings.verification.timeout)
        await remover.take_up()
        tester = _tester(settings, catalog, outlets, remover, Events(on_event))
        destinations = Destinations(opened, sealer=sealer, catalog=catalog, tester=tester, limits=settings.limits)
        if (period := settings.verification.period) is not None:
            Reverification(destinations, period=period, turns=tester.turns, agenda=agenda, tenure=tenure).start()
        await stack.enter_async_context(
            open_dispatch(settings, destinations, sealer=sealer, **parts, delivers=delivers)
        )
        destinations.rotation = Rotation(
            opened, sealer=sealer, settings=settings.secrets, renewals=destinations.renewals
        )
        await destinations.idempotency.open()
        destinations.idempotency.start(agenda, tenure=tenure)
        yield destinations


@asynccontextmanager
async def _tenure(store: Store, agenda: Agenda) -> AsyncIterator[Tenure]:
    """Which of all processes on the store keeps house."""
    tenure = Tenure(store)
    tenure.start(agenda)
    try:
        yield tenure
    finally:
        await tenure.leave()


def _tester(settings: Settings, catalog: Catalog, outlets: Outlets, remover: Remover, events: Events) -> Tester:
    limits = settings.limits
    rates = Rates("tests", what="connectivity tests", per_second=limits.tests_per_second, burst=limits.tests_burst)
    return Tester(settings.verification, catalog=catalog, outlets=outlets, remover=remover, rates=rates, events=events)


@contextmanager
def _with_a_spool(settings: Settings, store: Store) -> Iterator[Settings]:
    """What is forgotten with the process must not touch the files of a store that is not."""
    if isinstance(store, MemoryStore):
        settings = replace(settings, staging=StagingSettings())
    if settings.delivery.spool or not isinstance(store, MemoryStore):
        yield settings
        return
    with TemporaryDirectory(prefix="consignee-spool-") as directory:
        yield replace(settings, delivery=replace(settings.delivery, spool=directory))
