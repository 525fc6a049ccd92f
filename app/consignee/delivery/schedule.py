"""When a failed attempt is repeated."""

import random as chance
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consignee.sections import DeliverySettings, seconds


@dataclass(frozen=True)
class Schedule:
    """Waits in seconds, one for each failure in a row, each varied by chance by up to `jitter` of itself."""

    steps: Sequence[float]
    jitter: float = 0.2
    random: Callable[[], float] = chance.random

    @classmethod
    def of(cls, settings: DeliverySettings, *, random: Callable[[], float] = chance.random) -> "Schedule":
        """Return the schedule of the settings."""
        return cls(tuple(map(seconds, settings.retries)), settings.jitter, random)

    @property
    def longest(self) -> float:
        """The longest step."""
        return max(self.steps, default=0.0)

    def wait(self, failures: int, *, retry_after: float | None = None) -> float | None:
        """Return how long to wait after so many failures in a row, or None: do not repeat.

        What the other side asks for is honoured between once and twice the step.
        """
        if failures > len(self.steps):
            return None
        step = self.steps[failures - 1]
        if retry_after is not None and retry_after > step:
            return min(retry_after, 2 * step)
        return self._varied(step)

    def probe(self, probes: int) -> float:
        """Return how long a destination rests before its next probe, after so many in vain; the last step repeats."""
        return self._varied(self.steps[min(probes, len(self.steps) - 1)]) if self.steps else 0.0

    def _varied(self, step: float) -> float:
        return step * (1 + self.jitter * (2 * self.random() - 1))
