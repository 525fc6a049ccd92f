"""Destinations: create, list, get, update, delete, test. What HTTP does goes through here, and so can you.

async with open_destinations(settings) as destinations:
    destination = await destinations.create("some-account", {"type": "s3", "name": "Mine", ...})
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from consignee.catalog import Catalog
from consignee.clock import timestamp
from consignee.destination import Destination, Draft, from_document, needs_test, same_place, same_way, to_data
from consignee.errors import Conflict, ConsigneeError, LimitReached, NotFound, StoreError
from consignee.health import Health
from consignee.idempotency import Idempotency
from consignee.listing import Listing, Page, paginate
from consignee.precedents import Precedents
from consignee.resealing import Renew
from consignee.rotation import Rotation
from consignee.secret import Sealer
from consignee.settings import LimitsSettings
from consignee.store import Document, Store
from consignee.store.documents import discard, fetch
from consignee.tester import Tester
from consignee.verification import Report, UnderWay

if TYPE_CHECKING:
    from consignee.delivery.dispatch import Dispatch, Source
    from consignee.delivery.result_set import ResultSet

KIND: Final = "destinations"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """How many of something an account has, and may have."""

    used: int
    limit: int

    def to_json(self) -> dict[str, int]:
        """Return the numbers as they are answered."""
        return {"used": self.used, "limit": self.limit, "available": max(0, self.limit - self.used)}


class Destinations:
    """The destinations of all accounts. Every method takes the account; what belongs to another does not exist."""

    rotation: Rotation
    """Of the key that seals their secrets; there from when the service was opened."""

    def __init__(
        self,
        store: Store,
        *,
        sealer: Sealer,
        catalog: Catalog,
        tester: Tester,
        limits: LimitsSettings,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.store = store
        self.catalog = catalog
        self.health = Health()
        self.works_again: list[Callable[[str, str], Awaitable[None]]] = []
        """Who is told, with account and id, of each saved destination whose test went well."""
        self.deleted: list[Callable[[Destination], Awaitable[None]]] = []
        """Who is told of each destination that is no more."""
        self.renewals: dict[str, Renew] = {}
        """By kind, who saves documents anew when the sealing key changes, where not just anybody may."""
        precedents = Precedents(store, sealer=sealer, most=limits.idempotency_keys, now=now, random=random)
        self.idempotency = Idempotency(precedents)
        self._dispatch: Dispatch | None = None
        self.sealer = sealer
        self._tester = tester
        self.events, self.test_places = tester.events, tester.slots
        self._limits = limits
        self._now = now
        self._random = random

    async def create(self, account: str, values: Mapping[str, Any], *, id: str = "") -> Destination:  # noqa: A002
        """Check, prove if enabled, and save a new destination; with that `id`, if one is given.

        Raises InvalidDestination, LimitReached, VerificationFailed, StoreError, or Conflict if the id is taken; then nothing is
        saved.
        """
        draft = self.catalog.parse(values)
        limit = (await self._room(account)).limit
        report = await self._prove(account, draft, {}) if draft.enabled else None
        now = self._timestamp()
        while True:
            own: dict[str, Any] = {"account": account, "id": id or self._random(4).hex().upper(), "revision": 1}
            made = self._remember(Destination(**vars(draft), **own, created_at=now, updated_at=now), report)
            try:
                return await self._write(made, limit=limit)
            except Conflict:  # the id is taken: try another
                if id:
                    raise

    async def get(self, account: str, id: str) -> Destination:  # noqa: A002
        """Return a destination; raises NotFound."""
        return self._read(await fetch(self.store, KIND, account, id, what="destination"))

    async def list(self, account: str, listing: Listing = Listing()) -> Page[Destination]:  # noqa: B008
        """Return a page of the account's destinations."""
        listing = replace(listing, type=self.catalog.canonical(listing.type))
        return paginate(map(self._read, await self.store.list(KIND, account)), listing)

    async def usage(self, account: str) -> Usage:
        """Return how many destinations the account has and may have."""
        return Usage(await self.store.count(KIND, account), self._limits.destinations_per_account)

    async def update(self, account: str, id: str, values: Mapping[str, Any]) -> Destination:  # noqa: A002
        """Change what is given, after a test of the merged destination if deliveries depend on the change.

        Raises what `create` raises, NotFound, and Conflict if somebody else changed it meanwhile; then nothing has changed.
        """
        before = await self.get(account, id)
        draft = self.catalog.merge(before, values)
        found = before.found if same_place(before, draft) else {}
        changed = replace(before, **vars(draft))
        report = await self._prove(account, changed, found) if needs_test(before, draft) else None
        last_test = before.last_test if same_way(before, draft) else None
        after = replace(changed, found=found, last_test=last_test, updated_at=self._timestamp())
        return await self._replace(before, self._remember(after, report))

    async def delete(self, account: str, id: str) -> None:  # noqa: A002
        """Remove a destination, and cancel its deliveries; raises NotFound. Nothing in the bucket is touched."""
        destination = await self.get(account, id)
        await discard(self.store, KIND, account, id, what="destination")
        for watcher in self.deleted:
            await watcher(destination)

    async def deliver(
        self,
        account: str,
        collection_id: str,
        files: "Iterable[Source]",
        *,
        started_at: str = "",
        ended_at: str = "",
    ) -> "ResultSet":
        """Take in a complete result set and have it delivered; on return its files are kept durably, and copied.

        A file is a path, or a pair of its name and its content: bytes, a path, or an asynchronous iterator of bytes. Times are
        ISO 8601. Raises NotFound, InvalidRequest, StoreError, and what reading a file raises; then nothing is kept.
        """
        times = {"started_at": started_at, "ended_at": ended_at}
        return await self.dispatch.deliver(account, collection_id, files, times)

    @property
    def dispatch(self) -> "Dispatch":
        """Collections, result sets and their deliveries."""
        if self._dispatch is None:
            raise RuntimeError("this service was opened without deliveries")
        return self._dispatch

    @dispatch.setter
    def dispatch(self, dispatch: "Dispatch") -> None:
        self._dispatch = dispatch

    async def disable(self, destination: Destination) -> Destination | None:
        """Disable a destination, untested, whatever else has changed; return it if that changed anything. Raises StoreError."""
        with suppress(NotFound):
            while (latest := await self.get(destination.account, destination.id)).enabled:
                with suppress(Conflict):
                    return await self._save(replace(latest, enabled=False, updated_at=self._timestamp()))
        return None

    async def test(self, account: str, values: Mapping[str, Any], *, under_way: UnderWay | None = None) -> Report:
        """Test fields that are not saved; raises InvalidDestination, or VerificationFailed with the report."""
        return await self._prove(account, self.catalog.parse(values), {}, under_way)

    async def test_changed(self, account: str, id: str, values: Mapping[str, Any], **how: Any) -> Report:  # noqa: A002
        """Test a saved destination as that update would make it, and remember nothing; raises what `update` raises.

        If nothing would change, that is `test_saved`, and `how` are its arguments.
        """
        before = await self.get(account, id)
        draft = self.catalog.merge(before, values) if values else before.draft
        if draft == before.draft:
            return await self.test_saved(account, id, **how)
        found = before.found if same_place(before, draft) else {}
        return await self._tester.test(account, replace(before, **vars(draft)), found, **how)

    async def test_saved(self, account: str, id: str, **how: Any) -> Report:  # noqa: A002
        """Test a saved destination, remember the outcome and return it, good or bad; raises NotFound.

        `how` may be `under_way`, which hears of each step as it begins, and `patient`: a patient caller waits for its turn as
        long as it takes; another gets RateLimited after the time of one test.
        """
        destination = await self.get(account, id)
        report = await self._tester.test(account, destination, destination.found, **how)
        try:
            await self._replace(destination, self._remember(destination, report))
        except (Conflict, NotFound):
            log.debug("the outcome of a test is about what no longer is")
        except StoreError as error:
            ids = {"account": account, "destination": id}
            log.error("the outcome of the test of %s could not be kept: %s", id, error, extra=ids)
        return report

    async def verify(self, account: str, ids: Iterable[str] | None = None) -> AsyncGenerator[tuple[str, Report], None]:
        """Test many saved destinations, or all, some at once; yield each id with its report as it ends.

        Accounts take turns at the places for this, and one account never has more than a quarter of all.

        Raises, before any test, NotFound if one of them does not exist, and RateLimited if the account asks for too many.
        """
        if ids is None:
            ids = [document.id for document in await self.store.list(KIND, account)]
        chosen = dict.fromkeys(ids)
        for one in chosen:
            await self.get(account, one)
        self._tester.charge(account, len(chosen))
        tasks = [asyncio.create_task(self._verify_one(account, one)) for one in chosen]
        try:
            for done in asyncio.as_completed(tasks):
                if outcome := await done:
                    yield outcome
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _verify_one(self, account: str, id: str) -> tuple[str, Report] | None:  # noqa: A002
        try:
            async with self._tester.turns.turn(account):
                return id, await self.test_saved(account, id, patient=True)
        except NotFound:  # removed while it waited for its turn
            return None
        except ConsigneeError as error:
            ids = {"account": account, "destination": id}
            log.error("destination %s of account %s could not be tested: %s", id, account, error, extra=ids)
            return id, Report.not_run()

    async def _room(self, account: str) -> Usage:
        usage = await self.usage(account)
        if usage.used >= usage.limit:
            raise LimitReached(f"This account has {usage.used} destinations, and may have {usage.limit}.")
        return usage

    async def _prove(
        self, account: str, draft: Draft, found: Mapping[str, str], under_way: UnderWay | None = None
    ) -> Report:
        report = await self._tester.test(account, draft, found, under_way=under_way)
        report.require_ok()
        return report

    def _remember(self, destination: Destination, report: Report | None) -> Destination:
        if report is None:
            return destination
        outcome = {"ok": report.ok, "at": self._timestamp(), "connectivity": report.to_json()}
        return replace(destination, last_test=outcome, found={**destination.found, **report.found})

    async def _replace(self, before: Destination, after: Destination) -> Destination:
        while True:
            with suppress(Conflict):
                saved = await self._save(after)
                self.health.note(before, saved)
                await self._tell(before, saved)
                return saved
            latest = await self.get(before.account, before.id)
            if latest.draft != before.draft:
                raise Conflict("The destination was changed meanwhile: read it again, then repeat the change.")
            # Only the outcome of a test was saved meanwhile: that takes nothing from this change.
            if after.last_test == before.last_test and same_way(before, after):
                after = replace(after, last_test=latest.last_test)
            if after.found == before.found and same_place(before, after):
                after = replace(after, found=latest.found)
            before, after = latest, replace(after, revision=latest.revision)

    async def _tell(self, before: Destination, saved: Destination) -> None:
        if saved.last_test is not None and saved.last_test != before.last_test and saved.last_test["ok"]:
            for watcher in self.works_again:
                await watcher(saved.account, saved.id)

    async def _save(self, destination: Destination) -> Destination:
        return await self._write(replace(destination, revision=destination.revision + 1))

    async def _write(self, destination: Destination, *, limit: int | None = None) -> Destination:
        """Save a destination as the revision that it has."""
        before, data = destination.revision - 1, to_data(destination, self.sealer)
        await self.store.save(KIND, destination.account, destination.id, data, replaces=before, limit=limit)
        return destination

    def _read(self, document: Document) -> Destination:
        return from_document(document, self.sealer)

    def _timestamp(self) -> str:
        return timestamp(self._now())
