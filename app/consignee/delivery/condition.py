"""The condition of a destination, as its deliveries find it: failing, at rest between probes, in need of attention, or well."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from consignee.clock import timestamp
from consignee.delivery.schedule import Schedule
from consignee.store import Document

KIND: Final = "conditions"
_ENTRIES: Final = 50


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
        entry = {"date_time": time_of(now), "text": text}
        return replace(self, log=(*self.log, entry)[-_ENTRIES:])

    def recovered(self) -> "Condition":
        """Return what is left of it when all is well."""
        return Condition(log=self.log)


WELL: Final = Condition()


def from_document(document: Document) -> Condition:
    """Return the condition in a stored document."""
    data: dict[str, Any] = {**document.data, "log": tuple(document.data["log"])}
    return Condition(**data)


def to_data(condition: Condition) -> dict[str, Any]:
    """Return the stored form."""
    return {**vars(condition), "log": list(condition.log)}


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


def time_of(seconds: float) -> str:
    """Return a time, in seconds since 1970, as it is answered."""
    return timestamp(datetime.fromtimestamp(seconds, UTC))


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else time_of(seconds)
