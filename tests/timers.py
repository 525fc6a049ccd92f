"""Time that a test moves by hand, in place of the event loop's."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

TURNS_OF_THE_LOOP = 200


@dataclass
class Call:
    """A call that is to come at `due`."""

    due: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Let it not come."""
        self.cancelled = True


@dataclass
class Timers:
    """Makes calls when its time is moved on; `delays` are those that were asked for, in seconds."""

    now: float = 0.0
    calls: list[Call] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    def __call__(self, seconds: float, call: Callable[[], None]) -> Call:
        """Make the call after so many seconds."""
        made = Call(self.now + seconds, call)
        self.calls.append(made)
        self.delays.append(seconds)
        return made

    @property
    def waiting(self) -> int:
        """How many calls are still to come."""
        return sum(not call.cancelled for call in self.calls)

    async def advance(self, seconds: float) -> None:
        """Let so much time pass: what is due begins, in its order, and goes as far as it gets without waiting."""
        until = self.now + seconds
        while due := [call for call in self.calls if call.due <= until and not call.cancelled]:
            first = min(due, key=lambda call: call.due)
            self.calls.remove(first)
            self.now = max(self.now, first.due)
            first.call()
            await settled()
        self.now = until


async def settled() -> None:
    """Let every task that is ready run."""
    for _ in range(TURNS_OF_THE_LOOP):
        await asyncio.sleep(0)
