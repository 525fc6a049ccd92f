"""Which faults the S3 server of the chaos tests has, and when: each with its probability, from a seeded random."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("drop", "stall", "error500", "error503", "refuse", "cut", "error_after", "drop_after")


@dataclass(frozen=True)
class Faults:
    """The probabilities of what goes wrong with a request, at most one at a time, and how.

    drop: the connection is closed before the body is read. stall: no answer, closed after `stall_seconds`.
    error500, error503 (with `Retry-After: retry_after`), refuse (403 AccessDenied): the body is read and not stored.
    cut, error_after, drop_after: all is done as asked; then half of the answer is sent, a 500, or nothing, and (but
    for the 500) the connection is closed. A dead server stalls always. `delay` and `slow`, in milliseconds, add up
    before every answer. `on` names the operations that faults befall: put, get, delete, begin, part, complete, abort;
    all if empty.
    """

    drop: float = 0.0
    stall: float = 0.0
    error500: float = 0.0
    error503: float = 0.0
    refuse: float = 0.0
    cut: float = 0.0
    error_after: float = 0.0
    drop_after: float = 0.0
    stall_seconds: float = 3600.0
    retry_after: int = 1
    delay: float = 0.0
    slow: float = 0.0
    dead: bool = False
    on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if sum(self.probabilities()) > 1 + 1e-9 or min(self.probabilities()) < 0:
            raise ValueError("the probabilities must be positive, and together not above 1")

    def probabilities(self) -> list[float]:
        """Return the probability of each of KINDS."""
        return [getattr(self, kind) for kind in KINDS]


class Plan:
    """The faults of all buckets, and those of single ones laid over them."""

    def __init__(self, faults: Mapping[str, Any], *, seed: int) -> None:
        self._random = random.Random(seed)
        self._everywhere: Mapping[str, Any] = {}
        self._of: dict[str, Mapping[str, Any]] = {}
        self._general = Faults()
        self._merged: dict[str, Faults] = {}
        self.set(faults)

    def set(self, faults: Mapping[str, Any], bucket: str | None = None) -> None:
        """Replace the faults of all buckets, or of one; raises ValueError, TypeError if they are not understood."""
        Faults(**faults)
        everywhere, of = (self._everywhere, {**self._of, bucket: faults}) if bucket else (faults, self._of)
        merged = {name: Faults(**{**everywhere, **own}) for name, own in of.items()}
        self._everywhere, self._of, self._merged = everywhere, of, merged
        self._general = Faults(**everywhere)

    def of(self, bucket: str) -> Faults:
        """Return what goes wrong in a bucket."""
        return self._merged.get(bucket, self._general)

    def draw(self, faults: Faults, operation: str) -> str | None:
        """Return what goes wrong with the next request, or None."""
        if faults.on and operation not in faults.on:
            return None
        if faults.dead:
            return "dead"
        dice = self._random.random()
        for kind, probability in zip(KINDS, faults.probabilities(), strict=True):
            if dice < probability:
                return kind
            dice -= probability
        return None
