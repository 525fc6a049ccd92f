"""A tester with its store in memory and a remover that hurries; and a storage that does not let go of what it has."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from consignee import tester
from consignee.agenda import Agenda
from consignee.catalog import Catalog
from consignee.destination import Draft
from consignee.leftovers import KIND, Leftovers
from consignee.outlets import open_outlets, policy
from consignee.providers import Provider, discover
from consignee.removal import Remover
from consignee.secret import Sealer
from consignee.settings import VerificationSettings
from consignee.store import Store
from consignee.store.memory import MemoryStore
from consignee.verification import Report
from fakes import hostile
from fakes.scripted import Answer, Request
from providers.opening import S3_FIELDS, loopback

NAMED = "consignee-test-abababababababab.txt"
LONG = 30.0


@dataclass
class Lab:
    """A tester, and the making of drafts for it."""

    tester: tester.Tester
    catalog: Catalog
    store: Store

    async def test(self, draft: Draft, found: Mapping[str, str] | None = None, *, patient: bool = False) -> Report:
        """Test it as ann's."""
        return await self.tester.test("ann", draft, found or {}, patient=patient)

    async def remembered(self) -> list[str]:
        """Return the keys of the files that are remembered."""
        return [document.data["key"] for document in await self.store.list(KIND, "ann")]

    async def forgotten(self) -> None:
        """Wait until no file is remembered."""
        async with asyncio.timeout(LONG):
            while await self.remembered():
                await asyncio.sleep(0.01)

    def draft(self, url: str, **more: Any) -> Draft:
        """Return an S3-compatible destination there."""
        return self.catalog.parse(S3_FIELDS | {"type": "s3compatible", "s3_endpoint": url, **more})


@asynccontextmanager
async def closing(agenda: Agenda) -> AsyncIterator[None]:
    """Close it at the end."""
    try:
        yield
    finally:
        await agenda.close()


@asynccontextmanager
async def lab(
    *,
    timeout: float = LONG,
    concurrency: int = 4,
    delays: tuple[float, ...] = (0.01,) * 50,
    providers: Mapping[str, Provider] | None = None,
    most: int = 1000,
    store: Store | None = None,
) -> AsyncIterator[Lab]:
    """Yield a tester whose remover hurries."""
    settings = loopback()
    catalog = Catalog((providers or discover()).values(), policy(settings.egress))
    store, agenda = store or MemoryStore(), Agenda()
    await store.open()
    async with open_outlets(settings) as outlets, closing(agenda):
        leftovers = Leftovers(store, sealer=Sealer(bytes(32)), most=most)
        remover = Remover(leftovers, catalog=catalog, outlets=outlets, agenda=agenda, timeout=timeout, delays=delays)
        tokens = itertools.chain([b"\xab" * 8], (number.to_bytes(8) for number in itertools.count()))
        made = tester.Tester(
            VerificationSettings(timeout=timeout, concurrency=concurrency),
            catalog=catalog,
            outlets=outlets,
            remover=remover,
            random=lambda length: next(tokens),
        )
        yield Lab(made, catalog, store)


@dataclass
class Stubborn:
    """A storage that takes every PUT, but lets the first deletes fail, each in its own way; then it has `gone` set."""

    deletes: list[Callable[[], Answer]]
    put: Callable[[Request], Answer] = hostile.as_storage
    objects: set[str] = field(default_factory=set)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, request: Request) -> Answer:
        """Answer a request."""
        if request.method == "PUT":
            self.objects.add(request.path)
            return self.put(request)
        if self.deletes:
            return self.deletes.pop(0)()
        self.objects.discard(request.path)
        self.gone.set()
        return Answer(204)

    async def emptied(self) -> set[str]:
        """Wait for a delete that works, and return what is left."""
        async with asyncio.timeout(LONG):
            await self.gone.wait()
        return self.objects


def denied() -> Answer:
    """Return a refusal."""
    return Answer(403, {}, b"<Error><Code>AccessDenied</Code></Error>")


def broken() -> Answer:
    """Return a fault."""
    return Answer(500, {}, b"<Error><Code>InternalError</Code></Error>")


def silent() -> Answer:
    """Return an answer that never comes."""
    return Answer(raw=_never())


async def _never() -> AsyncGenerator[bytes, None]:
    await asyncio.Event().wait()
    yield b""
