"""From events to numbers."""

from collections.abc import Callable
from typing import Any

from consignee.events import (
    AttemptEnded,
    DeliveryEnded,
    DestinationDisabled,
    DestinationNeedsAttention,
    DestinationRecovered,
    DestinationRested,
    DestinationTested,
    Event,
    ResultSetAccepted,
    WebhookCalled,
)
from consignee.metrics.catalogue import Flow


class Hearing:
    """Counts what it is told; by account too, if `by_account`."""

    def __init__(self, *, by_account: bool) -> None:
        self.flow = Flow(("account",) if by_account else ())
        self._by_account = by_account
        if not by_account:  # what is rare is to be seen when it happens for the first time
            for change in ("disabled", "recovered"):
                self.flow.changes.add(change, "", amount=0)
        self._credited: dict[tuple[str, str], tuple[int, int]] = {}
        """Files and bytes of attempts under way that are counted already."""
        self._heard: dict[type[Event], Callable[[Any], None]] = {
            DestinationTested: self._tested,
            ResultSetAccepted: self._accepted,
            AttemptEnded: self._attempted,
            DeliveryEnded: self._delivered,
            WebhookCalled: self._called,
            DestinationRested: lambda event: self._changed(event, "rested", event.code),
            DestinationNeedsAttention: lambda event: self._changed(event, "needs_attention", event.code),
            DestinationDisabled: lambda event: self._changed(event, "disabled"),
            DestinationRecovered: lambda event: self._changed(event, "recovered"),
        }

    def hear(self, event: Event) -> None:
        """Count an event."""
        if (count := self._heard.get(type(event))) is not None:
            count(event)

    def credit(self, place: tuple[str, str], destination_type: str, files: int, size: int) -> None:
        """Count what has arrived so far in an attempt that is under way, `place` being its account and delivery."""
        known = self._credited.get(place, (0, 0))
        self._credited[place] = (max(files, known[0]), max(size, known[1]))
        self._count_arrived(place[0], destination_type, files - known[0], size - known[1])

    def _who(self, account: str) -> tuple[str, ...]:
        return (account,) if self._by_account else ()

    def _tested(self, event: DestinationTested) -> None:
        outcome = _outcome(event.ok)
        self.flow.tests.add(event.destination_type, outcome, event.code or "", *self._who(event.account))
        self.flow.test_seconds.note(event.destination_type, outcome, seconds=event.seconds)

    def _accepted(self, event: ResultSetAccepted) -> None:
        who = self._who(event.account)
        self.flow.result_sets.add(*who)
        self.flow.files_in.add(*who, amount=event.files)
        self.flow.bytes_in.add(*who, amount=event.bytes)

    def _attempted(self, event: AttemptEnded) -> None:
        outcome = _outcome(event.ok)
        self.flow.attempts.add(event.destination_type, outcome, event.code or "", *self._who(event.account))
        self.flow.attempt_seconds.note(event.destination_type, outcome, seconds=event.seconds)
        files, size = self._credited.pop((event.account, event.delivery_id), (0, 0))
        self._count_arrived(event.account, event.destination_type, event.files - files, event.bytes - size)

    def _count_arrived(self, account: str, destination_type: str, files: int, size: int) -> None:
        if files > 0:
            labels = (destination_type, *self._who(account))
            self.flow.files_out.add(*labels, amount=files)
            self.flow.bytes_out.add(*labels, amount=size)

    def _delivered(self, event: DeliveryEnded) -> None:
        type_, status, code = event.destination_type, event.status, event.code or ""
        self.flow.deliveries.add(type_, status, code, *self._who(event.account))
        self.flow.delivery_seconds.note(type_, status, seconds=event.seconds)

    def _called(self, event: WebhookCalled) -> None:
        outcome = _outcome(event.ok)
        self.flow.calls.add(outcome, event.code or "", *self._who(event.account))
        self.flow.call_seconds.note(outcome, seconds=event.seconds)

    def _changed(self, event: Event, change: str, code: str = "") -> None:
        self.flow.changes.add(change, code, *self._who(event.account))


def _outcome(ok: bool) -> str:
    return "ok" if ok else "failed"
