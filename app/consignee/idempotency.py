"""Idempotency keys: what is asked under one is made at most once, and answered alike for a day.

What is to be made is saved before it is: after an end in the middle, that tells whether it was. What failed is not remembered.
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from consignee.agenda import Agenda
from consignee.bygones import Bygones
from consignee.errors import Conflict, ConsigneeError, IdempotencyKeyReused, NotFound, StoreError, StoreFull
from consignee.precedents import Precedent, Precedents, Subject
from consignee.renewal import UNDER_WAY, Renewals, as_now
from consignee.secret import Secret
from consignee.tenure import Tenure

SWEEP: Final = 600.0
"""Seconds from one removal of old precedents to the next."""
LARGEST: Final = 4 * 1024
"""Bytes of an answer that is kept; a larger one is composed anew, from what was made then."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What to answer, and whether it is about what was made for an earlier request."""

    body: bytes
    repeated: bool


Compose = Callable[[str], Awaitable[bytes]]
"""Returns the answer about the document of that id."""


class Idempotency:
    """The keys of all accounts. Those that are in use in other processes are known by their renewals."""

    def __init__(self, precedents: Precedents, *, renewals: Renewals | None = None) -> None:
        self._precedents = precedents
        self._renewals = renewals or Renewals(precedents)
        self._in_use: set[tuple[str, str]] = set()
        self._bygones: Bygones | None = None

    async def open(self) -> None:
        """Settle what an end in the middle left: it was made or not; raises StoreError.

        What a full disk has no room for is settled when its key comes again. On a store that is shared, others may be at it.
        """
        if self._precedents.store.shared:
            return
        async for begun in self._precedents.unsettled():
            try:
                await self._settle(begun)
            except StoreFull as error:
                log.error("an idempotency key that an end left in the middle could not be settled: %s", error)

    async def _settle(self, begun: Precedent) -> None:
        made = await self._precedents.vouched(begun.account, begun.subject)
        if made is None:
            await self._precedents.withdraw(begun)
        else:
            await self._precedents.save(replace(begun, subject=made, made=True))

    async def _settle_late(self, begun: Precedent) -> None:
        with suppress(Conflict):  # somebody is at it
            latest = await self._renewals.settled(begun)
            if latest is not None and not latest.made:
                await self._settle(latest)

    def start(self, agenda: Agenda, *, tenure: Tenure | None = None) -> None:
        """Forget what is over a day old, again and again; the agenda ends it. On a shared store, who has the tenure does it."""
        if self._precedents.store.shared:
            tenure = tenure or Tenure(self._precedents.store)
            self._bygones = Bygones(self._precedents, tenure=tenure, settle=self._settle_late)

        async def sweep() -> None:
            try:
                await self.sweep()
            except StoreError as error:
                log.error("old idempotency keys could not be removed: %s", error)
            finally:
                agenda.after(SWEEP, sweep)

        agenda.after(SWEEP, sweep)

    async def sweep(self) -> None:
        """Forget what is over a day old; raises StoreError."""
        if self._bygones is not None:
            return await self._bygones.sweep()
        for account, one in self._precedents.old():
            with suppress(Conflict), self._using(account, one):
                await self._precedents.forget(account, one)
            await asyncio.sleep(0)
        return None

    @contextmanager
    def claim(self, account: str, scope: str, key: str) -> Iterator["Claim"]:
        """Be the only one with that key of those who ask for the same thing; raises Conflict if somebody else is."""
        place = account, hashlib.sha256(f"{scope}\0{key}".encode()).hexdigest()
        with self._using(*place):
            yield Claim(self._precedents, self._renewals, *place)

    @contextmanager
    def _using(self, account: str, id: str) -> Iterator[None]:  # noqa: A002
        place = account, id
        if place in self._in_use:
            raise Conflict(UNDER_WAY)
        self._in_use.add(place)
        try:
            yield
        finally:
            self._in_use.discard(place)


class Claim:
    """One request with a key, as long as nobody else asks with that."""

    def __init__(self, precedents: Precedents, renewals: Renewals, account: str, id: str) -> None:  # noqa: A002
        self._precedents = precedents
        self._renewals = renewals
        self._account = account
        self._id = id

    async def answer(self, content: bytes, subject: Subject, *, make: Compose, recall: Compose) -> Answer:
        """Have the subject made, which `content` asks for, or recall it if that was done: it is never made twice.

        `make` and `recall` get the id: of what is to be made, and of what was. Raises IdempotencyKeyReused, RateLimited,
        Conflict if what was made is no more, StoreError, and what these two raise; what `make` raised may be tried again.
        """
        before = await self._renewals.settled(await self._precedents.get(self._account, self._id))
        made = None if before is None else await self._made(before)
        if before is None or made is None:
            return await self._first(content, subject, make, before)
        if not made.is_of(content):
            raise IdempotencyKeyReused("This Idempotency-Key came with another request: take a new key for each.")
        return await self._again(made, recall)

    async def _made(self, before: Precedent) -> Precedent | None:
        """The precedent of what was made, also if an end in the middle kept that from being noted."""
        if before.made:
            return before
        subject = await self._precedents.vouched(self._account, before.subject)
        return None if subject is None else replace(before, subject=subject, made=True)

    async def _first(self, content: bytes, subject: Subject, make: Compose, before: Precedent | None) -> Answer:
        # Who was cut off may still be about to save: under one id, only one of the two can.
        chosen = subject if before is None or subject.token else before.subject
        replaces = 0 if before is None else before.revision
        try:
            begun = await self._precedents.begin(self._account, self._id, chosen, content, replaces=replaces)
        except Conflict:
            raise Conflict(UNDER_WAY) from None
        try:
            async with self._renewals.going_on(begun):
                body = await make(chosen.id)
        except ConsigneeError:
            await self._withdraw(begun)
            raise
        await self._keep(begun, body)
        return Answer(body, repeated=False)

    async def _withdraw(self, begun: Precedent) -> None:
        """Nothing was made, unless only the answer failed: then it is remembered."""
        with suppress(StoreError):  # it says what is to be made, and that is not there: as good as nothing
            if await self._precedents.made(self._account, begun.subject) is None:
                await self._precedents.withdraw(begun)

    async def _again(self, made: Precedent, recall: Compose) -> Answer:
        if made.answer is not None:
            return Answer(made.answer.reveal().encode(), repeated=True)
        try:
            body = await recall(made.subject.id)
        except NotFound:
            raise Conflict("What was made for this Idempotency-Key was removed since: take a new key.") from None
        await self._keep(made, body)
        return Answer(body, repeated=True)

    async def _keep(self, precedent: Precedent, body: bytes) -> None:
        """If the disk fails now, the answer is good all the same: what was made is found by its id."""
        answer = Secret(body.decode()) if len(body) <= LARGEST else None
        try:
            made = await self._precedents.made(self._account, precedent.subject) if answer is None else None
            await self._save(replace(precedent, subject=made or precedent.subject, made=True, answer=answer))
        except (Conflict, StoreError) as error:
            log.error("the answer to a request with an idempotency key could not be kept: %s", error)

    async def _save(self, precedent: Precedent) -> None:
        while True:
            try:
                await self._precedents.save(precedent)
                return
            except Conflict:  # sealed anew, or renewed, meanwhile
                precedent = as_now(precedent, await self._precedents.get(self._account, self._id))
