"""Metrics for Prometheus: what was counted and measured of one service, in a registry of its own.

metrics = Metrics()
async with open_destinations(settings, on_event=metrics.hear) as destinations:
    await metrics.look(destinations)
    body, content_type = metrics.render()
"""

import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from consignee.errors import MissingExtra
from consignee.events import Event
from consignee.metrics.catalogue import Requests, State
from consignee.metrics.hearing import Hearing
from consignee.metrics.looking import look
from consignee.metrics.tally import Tally, tallies
from consignee.service import Destinations

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

__all__ = ["Metrics", "is_installed"]


def is_installed() -> bool:
    """Return whether the extra `metrics` is installed; it is not imported."""
    return importlib.util.find_spec("prometheus_client") is not None


class Metrics:
    """Counts what it hears of, and knows how things were when it looked the last time.

    `registry` is one of prometheus_client's, with this and what is known of the process; never the global one. This is a
    collector of its own, for other registries. Raises MissingExtra if the extra `metrics` is not installed.
    """

    def __init__(self, *, by_account: bool = False, now: Callable[[], float] = time.time) -> None:
        if not is_installed():
            raise MissingExtra("metrics")
        from consignee.metrics.exposition import new_registry

        self.state = State()
        self.requests = Requests()
        self._hearing = Hearing(by_account=by_account)
        self._now = now
        self.registry: CollectorRegistry = new_registry(self)

    def hear(self, event: Event) -> None:
        """Count an event: this is an `on_event`."""
        self._hearing.hear(event)

    async def look(self, destinations: Destinations) -> None:
        """Bring up to date what is not counted but looked up: queues, places, the store, the disk. `render` shows it as it is."""
        await look(self.state, self._hearing, self.requests, destinations, now=self._now)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return all of it as text, and the type of its content: Prometheus' own, or OpenMetrics if that is accepted."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> "Iterator[Metric]":
        """Yield the samples of each metric: this is what a registry asks for."""
        from consignee.metrics.exposition import family

        return map(family, self.tallies())

    def tallies(self) -> Iterator[Tally]:
        """Yield everything that is counted, measured or looked up."""
        for part in (self._hearing.flow, self.state, self.requests):
            yield from tallies(part)
