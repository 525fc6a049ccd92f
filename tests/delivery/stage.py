"""A staging bucket in memory that fails as a test wants it to, and the processes that share it."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from consignee.body import Body
from consignee.delivery.claiming import SPOOLS
from consignee.delivery.intake import SpooledFile
from consignee.delivery.result_files import ResultFiles
from consignee.delivery.staging import Staging
from consignee.delivery.staging_notes import Notes
from consignee.errors import BucketNotFound, ProviderError, ProviderFailure
from consignee.providers.base import Bucket, Checkpoint, Missing
from consignee.store import Store
from consignee.store.memory import MemoryStore
from delivery.spooling import arriving

PIECE = 64 * 1024


class Shelf(Bucket):
    """`objects` by key. `faults` are what the next operations raise, one each, None for none; `breaks` are after how many bytes
    the next readings break off. What is in `late` is written although the put fails."""

    def __init__(self) -> None:
        self.found = {}
        self.objects: dict[str, bytes] = {}
        self.faults: list[BaseException | None] = []
        self.broken: ProviderFailure | None = None
        self.breaks: list[int] = []
        self.asked: list[tuple[Any, ...]] = []
        self.most = self.under_way = 0
        self.on_put: Callable[[str], None] = lambda _: None

    async def put(self, key: str, body: Body, checkpoint: Checkpoint | None = None) -> None:
        self.asked.append(("put", key))
        self.on_put(key)
        content = b"".join([chunk async for chunk in body.chunks()])
        self._fail()
        self.objects[key] = content

    async def delete(self, key: str) -> None:
        self.asked.append(("delete", key))
        self._fail()
        self.objects.pop(key, None)

    async def read(self, key: str, *, start: int, length: int) -> AsyncGenerator[bytes, None]:
        self.asked.append(("read", key, start, length))
        self._fail()
        content = self.objects.get(key, b"")[start : start + length]
        if len(content) < length:
            raise Missing
        until = self.breaks.pop(0) if self.breaks else length
        for at in range(0, min(until, length), 1000):
            yield content[at : min(at + 1000, until)]
        if until < length:
            raise passing()

    def _fail(self) -> None:
        if self.broken is not None:
            raise self.broken
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault

    def listed(self) -> dict[str, bytes]:
        """Return all objects, sorted by their keys."""
        return dict(sorted(self.objects.items()))


def passing() -> ProviderFailure:
    """Return a failure that may pass."""
    return ProviderError("The storage reported an error.")


def lasting() -> ProviderFailure:
    """Return one that will not."""
    return BucketNotFound("There is no such bucket.")


@dataclass
class Stage:
    """The bucket, the store, and a clock that a test moves by hand."""

    shelf: Shelf = field(default_factory=Shelf)
    store: Store = field(default_factory=MemoryStore)
    time: float = 1000.0

    def staging(self, **options: Any) -> Staging:
        """Return what one process has, not open yet."""
        notes = Notes(self.store, clock=lambda: self.time)
        own: dict[str, Any] = {"place": "shelf", "prefix": "area/one", "room": 32, "piece": PIECE, "pause": 0.0}
        return Staging(self._opened, self.store, **own | {"notes": notes} | options)

    @asynccontextmanager
    async def process(self, **options: Any) -> AsyncIterator[Staging]:
        """Yield what one process has, open."""
        staging = self.staging(**options)
        await staging.open()
        try:
            yield staging
        finally:
            await staging.close()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Bucket]:
        yield self.shelf


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """Yield a stage with an open, empty store."""
    stage = Stage()
    await stage.store.open()
    yield stage
    await stage.store.close()


async def moved_to(files: ResultFiles, store: Store) -> None:
    """Have the store's files be there from now on, wherever they were."""
    own = await store.get(SPOOLS, "", "own")
    await store.save(SPOOLS, "", "own", {"id": await files.claim(None)}, replaces=own.revision if own else 0)


async def taken_in(files: ResultFiles, *contents: bytes) -> tuple[str, list[SpooledFile]]:
    """Return token and files of a set that is saved."""
    async with files.intake() as intake:
        for number, content in enumerate(contents):
            await intake.add(str(number), arriving(content))
        token = await intake.keep()
    await files.settle(token)
    return token, intake.files


async def read(files: ResultFiles, token: str, about: Sequence[SpooledFile], number: int) -> bytes:
    """Return the content of a file."""
    return b"".join([chunk async for chunk in files.stored(token, about).body(number).chunks()])


async def dies_while_taking_in(staging: Staging, *contents: bytes, account: str = "ann", kept: bool = False) -> str:
    """Leave what a process leaves that ends suddenly while files arrive, or after they were kept; return the token."""
    context = staging.intake(account=account, collection_id="C")
    intake = await context.__aenter__()
    for number, content in enumerate(contents):
        await intake.add(str(number), arriving(content))
    if kept:
        await intake.keep()
    _ABANDONED.append(context)  # never left, as by a process that is no more
    return intake.token


_ABANDONED: list[Any] = []
