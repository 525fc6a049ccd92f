"""The conditions of all destinations: what a delivery finds changes them, and the holds of the queue follow from that.

One document for each destination that is not well, or that has a log.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from consignee.delivery.condition import KIND, WELL, Condition, from_document, time_of, to_data, view
from consignee.delivery.schedule import Schedule
from consignee.errors import Conflict, ProviderFailure, StoreError
from consignee.events import DestinationNeedsAttention, DestinationRecovered, DestinationRested, Event, Events
from consignee.queue import Queue
from consignee.store import Store

__all__ = ["KIND", "WELL", "Condition", "Conditions", "Finding", "view"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finding:
    """What a condition becomes by what was found, and what is to be told of that: a text for the log, and an event."""

    after: Condition
    text: str = ""
    about: str | None = None
    level: int = logging.WARNING
    event: Event | None = None


Find = Callable[[Condition], Finding | None]
"""Returns what a condition becomes; None if it stays. May be asked more than once."""

_UNWELL: Final = "destination %s of account %s: %s"


class Conditions:
    """The conditions of all destinations, in memory and in the store, which nobody else has. `now`: seconds since 1970."""

    def __init__(
        self,
        store: Store,
        queue: Queue,
        *,
        schedule: Schedule,
        breaker: int,
        disable_after: float | None,
        now: Callable[[], float],
        events: Events | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._schedule = schedule
        self._breaker = breaker
        self._disable_after = disable_after
        self._now = now
        self._events = Events() if events is None else events
        # Failures further apart than what passes between two attempts say nothing of the time between them.
        self._gap = None if disable_after is None else max(disable_after / 2, 2 * schedule.longest)
        self._known: dict[tuple[str, str], Condition] = {}
        self.changes = 0
        """How often one of them has changed."""
        self.states = Counter[str]()
        """How many of those that are known are in each state; what is not known is well."""

    async def open(self) -> None:
        """Take up what is known, and let those destinations rest that did."""
        for account in await self._store.accounts(KIND):
            for document in await self._store.list(KIND, account):
                self._know((account, document.id), condition := from_document(document))
                await self._queue.hold(account, document.id, condition.probe_at)

    async def mend(self) -> None:
        """Set the holds that could not be set when they were to be; raises StoreError. Alone, a hold never fails."""

    async def sweep(self) -> None:
        """Mend what processes that ended left; raises StoreError. Alone, `open` does that."""

    def _know(self, place: tuple[str, str], condition: Condition | None) -> None:
        if (before := self._known.pop(place, None)) is not None:
            self.states[before.state] -= 1
        if condition is not None:
            self._known[place] = condition
            self.states[condition.state] += 1
        self.changes += 1

    def of(self, account: str, destination_id: str) -> Condition:
        """Return the condition of a destination, as far as it is in memory: see `look`."""
        return self._known.get((account, destination_id), WELL)

    async def look(self, account: str, destination_id: str) -> Condition:
        """Return the condition of a destination, whoever changed it; raises StoreError."""
        return self.of(account, destination_id)

    async def look_at_all(self, account: str) -> Callable[[str], Condition]:
        """Return what tells the condition of each of an account's destinations, by its id; raises StoreError."""
        return lambda destination_id: self.of(account, destination_id)

    async def succeeded(self, account: str, destination_id: str) -> None:
        """Note that something was delivered, or that a test went well."""

        def find(before: Condition) -> Finding | None:
            after = before.recovered()
            if after == before:
                return None
            if before.probe_at is None and before.attention is None:
                return Finding(after)
            event = DestinationRecovered(account=account, destination_id=destination_id)
            text = "deliveries to destination %s of account %s work again"
            return Finding(after.with_entry(self._now(), "Works again."), text, level=logging.INFO, event=event)

        await self._take(account, destination_id, find)

    async def delivered(self, account: str, destination_id: str) -> bool:
        """Note that something was delivered; return whether the destination was well before, so that nothing rests."""
        await self.succeeded(account, destination_id)
        return False  # to look at what is in memory once more costs nothing

    async def failed(
        self, account: str, destination_id: str, failure: ProviderFailure, *, began: float | None = None
    ) -> bool:
        """Note a failure, of an attempt that `began` then; return whether the destination is to be disabled."""
        place: dict[str, Any] = {"account": account, "destination_id": destination_id}
        now = self._now()

        def find(before: Condition) -> Finding:
            after = before.counted(now, gap=self._gap)
            if not failure.transient:
                return self._in_need(before, after, failure, now, place)
            return self._at_rest(before, after, failure, now if began is None else began, place)

        taken = await self._take(account, destination_id, find)
        return taken is not None and self._is_hopeless(taken.after)

    def _at_rest(
        self, before: Condition, after: Condition, failure: ProviderFailure, began: float, place: Mapping[str, str]
    ) -> Finding:
        now = self._now()
        after = after.resting(now, began=began, breaker=self._breaker, schedule=self._schedule)
        if before.probe_at is not None or after.probe_at is None:
            return Finding(after)
        text = f"{after.failures} failures in a row, {failure.code}: only probed until something arrives."
        rested = DestinationRested(**place, failures=after.failures, code=failure.code)
        return Finding(after.with_entry(now, text), _UNWELL, text, event=rested)

    def _in_need(
        self, before: Condition, after: Condition, failure: ProviderFailure, now: float, place: Mapping[str, str]
    ) -> Finding:
        told = {"code": failure.code, "message": str(failure), "hint": failure.hint}
        if after.attention is not None and all(after.attention[name] == text for name, text in told.items()):
            return Finding(after)
        after = replace(after, attention={**told, "at": time_of(now)}).with_entry(now, f"Needs attention: {failure}")
        text = "destination %s of account %s needs attention: %s"
        return Finding(after, text, failure.code, event=DestinationNeedsAttention(**place, code=failure.code))

    def _is_hopeless(self, condition: Condition) -> bool:
        """Whether failures, enough of them, and nothing else was seen for so long that it is to be disabled."""
        if self._disable_after is None or condition.since is None or condition.failures < self._breaker:
            return False
        return self._now() - condition.since >= self._disable_after

    async def disabled(self, account: str, destination_id: str) -> str | None:
        """Note that the destination is disabled, and return why; None if it is well again meanwhile."""

        def find(before: Condition) -> Finding | None:
            if before.since is None or not self._is_hopeless(before):
                return None
            text = f"Disabled: nothing could be delivered since {time_of(before.since)}."
            return Finding(replace(before, probe_at=None).with_entry(self._now(), text), _UNWELL, text)

        taken = await self._take(account, destination_id, find)
        return taken.about if taken else None

    async def probe_again(self, account: str, destination_id: str) -> None:
        """Let the destination go on resting where a probe ended without an outcome."""
        await self._queue.hold(account, destination_id, self.of(account, destination_id).probe_at)

    async def forget(self, account: str, destination_id: str) -> None:
        """Drop all that is known: the destination is no more."""
        self._know((account, destination_id), None)
        await self._queue.hold(account, destination_id, None)
        await self._remove(account, destination_id)

    async def _remove(self, account: str, destination_id: str) -> None:
        while (document := await self._store.get(KIND, account, destination_id)) is not None:
            with suppress(Conflict):
                await self._store.remove(KIND, account, destination_id, replaces=document.revision)

    async def _take(self, account: str, destination_id: str, find: Find) -> Finding | None:
        """Change a condition by what was found, and return that; None if it stays as it is."""
        taken = find(self.of(account, destination_id))
        if taken is not None:
            self._tell(account, destination_id, taken)
            await self._set(account, destination_id, taken.after)
        return taken

    def _tell(self, account: str, destination_id: str, found: Finding) -> None:
        if found.text:
            about = () if found.about is None else (found.about,)
            _note(found.level, found.text, destination_id, account, *about)
        if found.event is not None:
            self._events.tell(found.event)

    async def _set(self, account: str, destination_id: str, condition: Condition) -> None:
        self._know((account, destination_id), condition)
        await self._queue.hold(account, destination_id, condition.probe_at)
        try:
            await self._save(account, destination_id, condition)
        except StoreError as error:  # it holds in memory, the next change saves it, and what follows is of more weight
            self._not_kept(account, destination_id, error)

    def _not_kept(self, account: str, destination_id: str, error: StoreError) -> None:
        text = "the condition of destination %s of account %s could not be kept: %s"
        _note(logging.ERROR, text, destination_id, account, error)

    async def _save(self, account: str, destination_id: str, condition: Condition) -> None:
        while True:
            document = await self._store.get(KIND, account, destination_id)
            with suppress(Conflict):
                newest = self._known.get((account, destination_id), condition)
                replaces = document.revision if document else 0
                await self._store.save(KIND, account, destination_id, to_data(newest), replaces=replaces)
                break
        if (account, destination_id) not in self._known:  # the destination was deleted meanwhile
            await self.forget(account, destination_id)


def _note(level: int, text: str, destination_id: str, account: str, *args: object) -> None:
    ids = {"account": account, "destination": destination_id}
    log.log(level, text, destination_id, account, *args, extra=ids)
