"""The condition of destinations, as their deliveries find it: failing, at rest between probes, in need of attention, or well.

One document for each destination that is not well, or that has a log; the holds of the queue follow from it.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from consignee.clock import timestamp
from consignee.delivery.schedule import Schedule
from consignee.errors import Conflict, ProviderFailure
from consignee.queue import Queue
from consignee.store import Document, Store

KIND: Final = "conditions"
_ENTRIES: Final = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """`failures` in a row since `since`; while `probe_at` is set, only that is tried, after `probes` in vain.

    Times are seconds since 1970. `attention` says what the customer must do something about.
    """

    failures: int = 0
    since: float | None = None
    probes: int = 0
    probe_at: float | None = None
    attention: Mapping[str, str] | None = None
    log: tuple[Mapping[str, str], ...] = ()

    def failed(self, now: float, *, breaker: int, schedule: Schedule) -> "Condition":
        """Return the condition after one more failure that may pass."""
        failures, since = self.failures + 1, now if self.since is None else self.since
        if self.probe_at is None:
            probe_at = now + schedule.probe(0) if failures >= breaker else None
            return replace(self, failures=failures, since=since, probe_at=probe_at)
        if now < self.probe_at:  # it was under way before the destination was put to rest
            return replace(self, failures=failures)
        probes = self.probes + 1
        return replace(self, failures=failures, probes=probes, probe_at=now + schedule.probe(probes))

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
    ) -> None:
        self._store = store
        self._queue = queue
        self._schedule = schedule
        self._breaker = breaker
        self._disable_after = disable_after
        self._now = now
        self._known: dict[tuple[str, str], Condition] = {}

    async def open(self) -> None:
        """Take up what is known, and let those destinations rest that did."""
        for account in await self._store.accounts(KIND):
            for document in await self._store.list(KIND, account):
                self._known[account, document.id] = condition = _condition(document)
                await self._queue.hold(account, document.id, condition.probe_at)

    def of(self, account: str, destination_id: str) -> Condition:
        """Return the condition of a destination."""
        return self._known.get((account, destination_id), WELL)

    async def succeeded(self, account: str, destination_id: str) -> None:
        """Note that something was delivered, or that a test went well; raises StoreError."""
        before = self.of(account, destination_id)
        if before.recovered() == before:
            return
        after = before.recovered()
        if before.probe_at is not None or before.attention is not None:
            after = after.with_entry(self._now(), "Works again.")
            log.info("deliveries to destination %s of account %s work again", destination_id, account)
        await self._set(account, destination_id, after)

    async def failed(self, account: str, destination_id: str, failure: ProviderFailure) -> bool:
        """Note a failure; return whether nothing but failures was seen for so long that it is to be disabled."""
        before, now = self.of(account, destination_id), self._now()
        if failure.transient:
            after = before.failed(now, breaker=self._breaker, schedule=self._schedule)
            if before.probe_at is None and after.probe_at is not None:
                text = f"{after.failures} failures in a row, {failure.code}: only probed until something arrives."
                after = after.with_entry(now, text)
                log.warning("destination %s of account %s: %s", destination_id, account, text)
        else:
            after = self._in_need(before, failure, now)
        await self._set(account, destination_id, after)
        return self._disable_after is not None and after.since is not None and now - after.since >= self._disable_after

    def _in_need(self, before: Condition, failure: ProviderFailure, now: float) -> Condition:
        told = {"code": failure.code, "message": str(failure), "hint": failure.hint}
        after = replace(before, failures=before.failures + 1, since=now if before.since is None else before.since)
        if before.attention is not None and all(before.attention[name] == text for name, text in told.items()):
            return after
        at = timestamp(datetime.fromtimestamp(now, UTC))
        log.warning("a destination needs attention: %s", failure.code)
        return replace(after, attention={**told, "at": at}).with_entry(now, f"Needs attention: {failure}")

    async def disabled(self, account: str, destination_id: str) -> str:
        """Note that the destination is disabled, and return why; raises StoreError."""
        condition = self.of(account, destination_id)
        since = _time(condition.since)
        text = f"Disabled: nothing could be delivered since {since}."
        log.warning("destination %s of account %s: %s", destination_id, account, text)
        await self._set(account, destination_id, replace(condition, probe_at=None).with_entry(self._now(), text))
        return text

    async def probe_again(self, account: str, destination_id: str) -> None:
        """Let the destination go on resting where a probe ended without an outcome."""
        await self._queue.hold(account, destination_id, self.of(account, destination_id).probe_at)

    async def forget(self, account: str, destination_id: str) -> None:
        """Drop all that is known: the destination is no more."""
        self._known.pop((account, destination_id), None)
        await self._queue.hold(account, destination_id, None)
        while (document := await self._store.get(KIND, account, destination_id)) is not None:
            with suppress(Conflict):
                await self._store.remove(KIND, account, destination_id, replaces=document.revision)

    async def _set(self, account: str, destination_id: str, condition: Condition) -> None:
        self._known[account, destination_id] = condition
        await self._queue.hold(account, destination_id, condition.probe_at)
        while True:
            document = await self._store.get(KIND, account, destination_id)
            with suppress(Conflict):
                newest = self._known.get((account, destination_id), condition)
                data = {**vars(newest), "log": list(newest.log)}
                replaces = document.revision if document else 0
                await self._store.save(KIND, account, destination_id, data, replaces=replaces)
                return


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
