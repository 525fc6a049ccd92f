"""What happens, told to whoever wants to hear it: ids, codes and numbers; never a secret, and never the text of a failure.

async with open_destinations(settings, on_event=print) as destinations:
    ...
"""

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to what belongs to an account. Durations are in seconds."""

    account: str


@dataclass(frozen=True, kw_only=True)
class DestinationTested(Event):
    """A connectivity test has ended; `code` is that of the step that failed. What was not saved yet has no `destination_id`."""

    destination_id: str | None
    destination_type: str
    ok: bool
    code: str | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class DestinationRested(Event):
    """So many failures in a row that may pass: from now on a destination is only probed. `code` is that of the last one."""

    destination_id: str
    failures: int
    code: str


@dataclass(frozen=True, kw_only=True)
class DestinationNeedsAttention(Event):
    """Deliveries to a destination fail for a reason, `code`, that does not pass by itself."""

    destination_id: str
    code: str


@dataclass(frozen=True, kw_only=True)
class DestinationDisabled(Event):
    """The service has disabled a destination, since nothing could be delivered to it for long."""

    destination_id: str
    destination_type: str


@dataclass(frozen=True, kw_only=True)
class DestinationRecovered(Event):
    """A destination that rested or needed attention works again."""

    destination_id: str


@dataclass(frozen=True, kw_only=True)
class ResultSetAccepted(Event):
    """A result set of so many files and bytes was taken in, durably. Its first deliveries may have ended before this is told."""

    collection_id: str
    number: int
    files: int
    bytes: int
    destination_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AttemptEnded(Event):
    """An attempt at a delivery has ended, which sent so many files and bytes; others may follow.

    `code` is that of the failure: a destination's, `internal_error` for a fault of the service, `interrupted` if a stop, a
    change or a lost lease ended it.
    """

    delivery_id: str
    collection_id: str
    number: int
    destination_id: str
    destination_type: str
    attempt: int
    ok: bool
    code: str | None
    files: int
    bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class DeliveryEnded(Event):
    """A delivery came to rest: `status` is success, failed or skipped. `files` and `bytes` are what has arrived of it.

    `seconds` are those since it was asked for. `destination_type` is empty if the destination is no more, or can't be read.
    """

    delivery_id: str
    collection_id: str
    number: int
    destination_id: str
    destination_type: str
    status: str
    code: str | None
    attempts: int
    files: int
    bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class WebhookCalled(Event):
    """One attempt to tell a collection's webhook of a complete result set; `status` is what it answered, None if nothing."""

    collection_id: str
    number: int
    ok: bool
    code: str | None
    status: int | None
    seconds: float


OnEvent = Callable[[Event], None]
"""Is told of each event in the event loop, while the service waits: it must be quick, and must not block."""


class Events:
    """Tells each event to all who listen. True if anybody does."""

    def __init__(self, on_event: OnEvent | None = None) -> None:
        self._listeners: tuple[OnEvent, ...] = ()
        if on_event is not None:
            self.listen(on_event)

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def listen(self, listener: OnEvent) -> None:
        """Tell this one too, from now on; raises TypeError for a coroutine function: nobody would await it."""
        if inspect.iscoroutinefunction(listener):
            raise TypeError("on_event must be a plain function: let it create a task for what takes time")
        self._listeners += (listener,)

    def tell(self, event: Event) -> None:
        """Tell an event; a listener that raises is logged, and harms nobody."""
        for listener in self._listeners:
            try:
                listener(event)
            except (Exception, asyncio.CancelledError) as error:
                log.error("a listener failed at %s", type(event).__name__, exc_info=error)
