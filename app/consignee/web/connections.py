"""The open connections: so many in all, and so many from one address."""

import logging
import resource
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

log = logging.getLogger(__name__)

_OTHER_FILES: Final = 1024
"""How many files and connections of our own there may be: deliveries, uploads, the store."""


class Connection(Protocol):
    """What is counted here."""

    def make_room(self) -> None:
        """End, for another is to come in its place."""


@dataclass
class _Crowd:
    """Connections that share a limit. Those that wait are in the order in which they began to."""

    most: int
    count: int = 0
    strangers: OrderedDict[Connection, None] = field(default_factory=OrderedDict)
    acquainted: OrderedDict[Connection, None] = field(default_factory=OrderedDict)

    @property
    def full(self) -> bool:
        return 0 < self.most <= self.count

    def longest_waiting(self) -> Connection | None:
        """Return a connection that made no request yet rather than one that did."""
        return next(iter(self.strangers), None) or next(iter(self.acquainted), None)


class Connections:
    """Counts connections; 0 means any number of one address.

    At a limit, the connection that has waited the longest for a request makes room: a flood of connections that ask for nothing
    costs nobody else's. Only where all are at work, a new one is turned away.
    """

    def __init__(self, most: int, *, per_address: int) -> None:
        self.most = most
        self._per_address = per_address
        self._all = _Crowd(most)
        self._of_address: dict[str, _Crowd] = {}
        self._addresses: dict[Connection, str] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._addresses)

    def open(self, connection: Connection, address: str) -> bool:
        """Count a new connection, which waits; returns whether there is room for it."""
        own = self._of_address.get(address) or _Crowd(self._per_address)
        for crowd in (own, self._all):
            if crowd.full and not self._make_room(crowd):
                return False
        self._of_address[address] = own
        self._addresses[connection] = address
        for crowd in (own, self._all):
            crowd.count += 1
            crowd.strangers[connection] = None
        return True

    def works(self, connection: Connection) -> None:
        """A request has come: from now on it is not closed for others."""
        for crowd in self._crowds(connection):
            crowd.strangers.pop(connection, None)
            crowd.acquainted.pop(connection, None)

    def waits(self, connection: Connection) -> None:
        """Its request has been answered."""
        for crowd in self._crowds(connection):
            crowd.acquainted[connection] = None

    def closed(self, connection: Connection) -> None:
        """Count it no more."""
        for crowd in self._crowds(connection):
            crowd.count -= 1
        self.works(connection)
        address = self._addresses.pop(connection, None)
        if address is not None and not self._of_address[address].count:
            del self._of_address[address]

    def _make_room(self, crowd: _Crowd) -> bool:
        connection = crowd.longest_waiting()
        if connection is None:
            return False
        self.closed(connection)
        connection.make_room()
        return True

    def _crowds(self, connection: Connection) -> tuple[_Crowd, ...]:
        address = self._addresses.get(connection)
        return () if address is None else (self._all, self._of_address[address])


@dataclass
class Refusals:
    """Lets those who are refused wait for the answer as soon as they are many, for not everybody heeds a Retry-After.

    What is refused `at_once` is; then it is so many `per_second`, and none waits for more than `longest` seconds.
    """

    per_second: float = 200
    at_once: int = 100
    longest: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _until: float = float("-inf")
    """When all that was refused so far would have been, one by one."""

    def wait(self) -> float:
        """Count one more, and return after how many seconds it is to be answered."""
        now, ahead = self.clock(), self.at_once / self.per_second
        self._until = min(max(self._until, now) + 1 / self.per_second, now + ahead + self.longest)
        return max(0.0, self._until - now - ahead)


def allow_files(connections: int) -> int:
    """Let the process open as many files as that needs, and return for how many connections there is room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    room = max(soft - _OTHER_FILES, soft // 2)
    log.warning("the system's limit of %d open files leaves room for %d connections at once", soft, room)
    return min(connections, room)
