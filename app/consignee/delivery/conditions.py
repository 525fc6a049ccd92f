"""The condition of destinations, as their deliveries find it: failing, at rest between probes, in need of attention, or well.

One document for each destination that is not well, or that has a log; the holds of the queue follow from it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from consignee.clock import timestamp
from consignee.delivery.schedule import Schedule
from consignee.errors import Conflict, ProviderFailure, StoreError
from consignee.events import DestinationNeedsAttention, DestinationRecovered, DestinationRested, Events
from consignee.queue import Queue
from consignee.store import Document, Store

KIND: Final = "conditions"
_ENTRIES: Final = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """`failures` in a row, seen again and again since `since`, the latest at `last`.

    While `probe_at` is set, only that is tried, after `probes` in vain; it rests since `rests_since`. Times are seconds since
    1970. `attention` says what the customer must do something about.
    """

    failures: int = 0
    since: float | None = None
    last: float | None = None
    probes: int = 0
    probe_at: float | None = None
    rests_since: float | None = None
    attention: Mapping[str, str] | None = None
    log: tuple[Mapping[str, str], ...] = ()

    @property
    def state(self) -> str:
        """What it is in a word: `ok`, `failing`, `resting` while only probed, or `needs_attention`."""
        if self.attention is not None:
            return "needs_attention"
        if self.probe_at is not None:
            return "resting"
        return "failing" if self.failures else "ok"

    def counted(self, now: float, *, gap: float | None) -> "Condition":
        """Return the condition after one more failure.

        When the last one is more than `gap` seconds ago (or to come: the clock was wrong), nothing is known of the time between,
        and `since` begins anew.
        """
        last = self.since if self.last is None else self.last
        is_far = last is not None and gap is not None and abs(now - last) > gap
        since = now if self.since is None or is_far else self.since
        return replace(self, failures=self.failures + 1, since=since, last=now)

    def resting(self, now: float, *, began: float, breaker: int, schedule: Schedule) -> "Condition":
        """Return the condition after one more failure that may pass was counted, of an attempt that began then."""
        if self.probe_at is None:
            rests = self.failures >= breaker
            return replace(self, probe_at=now + schedule.probe(0), rests_since=now) if rests else self
        if now < self.probe_at or (self.rests_since is not None and began <= self.rests_since):
            return self  # it was under way before the destination was put to rest: no probe
        probes = self.probes + 1
        return replace(self, probes=probes, probe_at=now + schedule.probe(probes), rests_since=now)

    def with_entry(self, now: float, text: str) -> "Condition":
        """Return the condition with an entry in its log, but not the same one twice in a row."""
        if self.log and self.log[-1]["text"] == text:
            return self
        entry = {"date_time": timestamp(datetime.fromtimestamp(now, UTC)), "text": text}
        return replace(self, log=(*self.log, entry)[-_ENTRIES:])

    def recovered(self) -> "Condition":
        """Return what is left of it when all is well."""
        return Condition(log=self.log)


WELL: Final = Condition()


class Conditions:
    """The conditions of all destinations, in memory and in the store. `now` returns seconds since 1970."""

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
                self._know((account, document.id), condition := _condition(document))
                await self._queue.hold(account, document.id, condition.probe_at)

    def _know(self, place: tuple[str, str], condition: Condition | None) -> None:
        if (before := self._known.pop(place, None)) is not None:
            self.states[before.state] -= 1
        if condition is not None:
            self._known[place] = condition
            self.states[condition.state] += 1
        self.changes += 1

    def of(self, account: str, destination_id: str) -> Condition:
        """Return the condition of a destination."""
        return self._known.get((account, destination_id), WELL)

    async def succeeded(self, account: str, destination_id: str) -> None:
        """Note that something was delivered, or that a test went well."""
        before = self.of(account, destination_id)
        if before.recovered() == before:
            return
        after = before.recovered()
        if before.probe_at is not None or before.attention is not None:
            after = after.with_entry(self._now(), "Works again.")
            _note(logging.INFO, "deliveries to destination %s of account %s work again", destination_id, account)
            self._events.tell(DestinationRecovered(account=account, destination_id=destination_id))
        await self._set(account, destination_id, after)

    async def failed(
        self, account: str, destination_id: str, failure: ProviderFailure, *, began: float | None = None
    ) -> bool:
        """Note a failure, of an attempt that `began` then; return whether the destination is to be disabled."""
        before, now = self.of(account, destination_id), self._now()
        after = before.counted(now, gap=self._gap)
        if failure.transient:
            started = now if began is None else began
            after = after.resting(now, began=started, breaker=self._breaker, schedule=self._schedule)
            if before.probe_at is None and after.probe_at is not None:
                text = f"{after.failures} failures in a row, {failure.code}: only probed until something arrives."
                after = after.with_entry(now, text)
                _note(logging.WARNING, "destination %s of account %s: %s", destination_id, account, text)
                rested: dict[str, Any] = {"failures": after.failures, "code": failure.code}
                self._events.tell(DestinationRested(account=account, destination_id=destination_id, **rested))
        else:
            after = self._in_need(after, failure, now)
            if after.attention != before.attention:
                text = "destination %s of account %s needs attention: %s"
                _note(logging.WARNING, text, destination_id, account, failure.code)
                place = {"account": account, "destination_id": destination_id}
                self._events.tell(DestinationNeedsAttention(**place, code=failure.code))
        await self._set(account, destination_id, after)
        return self._is_hopeless(after)

    def _is_hopeless(self, condition: Condition) -> bool:
        """Whether failures, enough of them, and nothing else was seen for so long that it is to be disabled."""
        if self._disable_after is None or condition.since is None or condition.failures < self._breaker:
            return False
        return self._now() - condition.since >= self._disable_after

    def _in_need(self, after: Condition, failure: ProviderFailure, now: float) -> Condition:
        told = {"code": failure.code, "message": str(failure), "hint": failure.hint}
        if after.attention is not None and all(after.attention[name] == text for name, text in told.items()):
            return after
        at = timestamp(datetime.fromtimestamp(now, UTC))
        return replace(after, attention={**told, "at": at}).with_entry(now, f"Needs attention: {failure}")

    async def disabled(self, account: str, destination_id: str) -> str | None:
        """Note that the destination is disabled, and return why; None if it is well again meanwhile."""
        condition = self.of(account, destination_id)
        if not self._is_hopeless(condition):
            return None
        since = _time(condition.since)
        text = f"Disabled: nothing could be delivered since {since}."
        _note(logging.WARNING, "destination %s of account %s: %s", destination_id, account, text)
        await self._set(account, destination_id, replace(condition, probe_at=None).with_entry(self._now(), text))
        return text

    async def probe_again(self, account: str, destination_id: str) -> None:
        """Let the destination go on resting where a probe ended without an outcome."""
        await self._queue.hold(account, destination_id, self.of(account, destination_id).probe_at)

    async def forget(self, account: str, destination_id: str) -> None:
        """Drop all that is known: the destination is no more."""
        self._know((account, destination_id), None)
        await self._queue.hold(account, destination_id, None)
        while (document := await self._store.get(KIND, account, destination_id)) is not None:
            with suppress(Conflict):
                await self._store.remove(KIND, account, destination_id, replaces=document.revision)

    async def _set(self, account: str, destination_id: str, condition: Condition) -> None:
        self._know((account, destination_id), condition)
        await self._queue.hold(account, destination_id, condition.probe_at)
        try:
            await self._save(account, destination_id, condition)
        except StoreError as error:  # it holds in memory, the next change saves it, and what follows is of more weight
            text = "the condition of destination %s of account %s could not be kept: %s"
            _note(logging.ERROR, text, destination_id, account, error)

    async def _save(self, account: str, destination_id: str, condition: Condition) -> None:
        while True:
            document = await self._store.get(KIND, account, destination_id)
            with suppress(Conflict):
                newest = self._known.get((account, destination_id), condition)
                data = {**vars(newest), "log": list(newest.log)}
                replaces = document.revision if document else 0
                await self._store.save(KIND, account, destination_id, data, replaces=replaces)
                break
        if (account, destination_id) not in self._known:  # the destination was deleted meanwhile
            await self.forget(account, destination_id)


def _note(level: int, text: str, destination_id: str, account: str, *args: object) -> None:
    ids = {"account": account, "destination": destination_id}
    log.log(level, text, destination_id, account, *args, extra=ids)


def _condition(document: Document) -> Condition:
    data: dict[str, Any] = {**document.data, "log": tuple(document.data["log"])}
    return Condition(**data)


def view(condition: Condition) -> dict[str, Any]:
    """Return a condition as it is answered: how deliveries to a destination go."""
    state = "ok"
    if condition.failures:
        state = "failing"
    if condition.attention is not None:
        state = "needs_attention"
    return {
        "state": state,
        "failures": condition.failures,
        "failing_since": _time(condition.since),
        "next_probe_at": _time(condition.probe_at),
        "attention": condition.attention,
        "log": list(condition.log),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(datetime.fromtimestamp(seconds, UTC))
