"""The store: durable creates beside other ways to keep documents; its start and memory; the loop's longest stall."""

import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from contest import OURS, Aim, Contest, Sample, Turn
from lab import Lab

GROUPED, EACH = "SQLite, grouped", "SQLite, per write"
DISK: Final = "write + fdatasync alone"
NOTE: Final = (
    "Destinations as the service keeps them, of accounts in no order. In one step with each create, we and SQLite check that its "
    "id is free and that its account has fewer than 50. SQLite: WAL, synchronous=FULL; grouped: one commit for all who wait, as "
    "ours. diskcache: synchronous=FULL. The file written anew: once for all who wait; TinyDB does so for each."
)


def contests(lab: Lab) -> Iterator[Contest]:
    """Yield them, the smallest store first."""
    shelf = Shelf(lab)
    sizes = lab.pick((10**3, 10**4, 10**5, 10**6), (10**3, 10**5))
    few, most = sizes[0], sizes[-1]
    yield _many(few, shelf.databases(few, 64) | shelf.diskcache(few, 64) | shelf.files(few, 64))
    for size in sizes[2:]:
        yield _many(size, shelf.databases(size, 64))
    yield _one(few, shelf.databases(few, 1) | shelf.diskcache(few, 1) | shelf.files(few, 1) | shelf.disk())
    yield _growth(64, {size: shelf.ours(size, 64) for size in sizes})
    yield _growth(1, {size: shelf.ours(size, 1) for size in (few, most)})
    for size in lab.pick((10**5, 10**6), (10**5,)):
        yield _start(size, shelf.start(size))
    yield _stall(10**5, shelf.stall(10**5))


def _many(size: int, contenders: Mapping[str, Turn]) -> Contest:
    aims = [Aim("rate", least=1.5, beside=(GROUPED,)), Aim("rate", least=8, beside=(EACH,))]
    return Contest(f"Durable creates by 64 writers, {size:,} documents", "create", contenders, aims, NOTE)


def _one(size: int, contenders: Mapping[str, Turn]) -> Contest:
    aims = [Aim("rate", least=0.6, beside=(DISK,))]
    return Contest(f"Durable creates by 1 writer, {size:,} documents", "create", contenders, aims, NOTE)


def _growth(writers: int, turns: Mapping[int, Turn]) -> Contest:
    """The largest store is to be no slower than the smallest."""
    names = {size: f"{OURS}, {size:,}" for size in turns}
    aim = Aim("rate", least=1 / 1.2, beside=(names[min(turns)],), of=names[max(turns)])
    contenders = {names[size]: turn for size, turn in turns.items()}
    return Contest(f"Durable creates, {writers} at once, by documents that there are", "create", contenders, [aim])


def _start(size: int, turn: Turn) -> Contest:
    aims = [Aim("seconds", most=4 * size / 10**6), Aim("mb_per_100000", most=100)]
    return Contest(f"Start with {size:,} documents", "document", {OURS: turn}, aims)


def _stall(size: int, turn: Turn) -> Contest:
    note = (
        "64 writers, before and while the file is written anew (`saves_waited_seconds`: so long nothing is saved), then a list "
        "of all. A stall is the longest time by which a task that wants to run every millisecond came too late, but for what "
        "other processes had of the core. That of the list is Python's collector: it looks at all documents once."
    )
    title = f"The loop's longest stall, {size:,} documents of one account"
    return Contest(title, "create", {OURS: turn}, [Aim("stall_ms", most=10)], note)


class Shelf:
    """The stores that the contenders begin with: made when they are first needed; each client leaves one as it was."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._disk = lab.disk / "stores"
        self._disk.mkdir()

    def databases(self, size: int, writers: int) -> dict[str, Turn]:
        """Return ours, and SQLite both ways."""
        return {
            OURS: self.ours(size, writers),
            GROUPED: self._turn(
                "sqlite", size, self._lab.pick(10_000, 3_000) if writers > 1 else 500, writers, writers
            ),
            EACH: self._turn("sqlite", size, self._lab.pick(1_000, 300), writers, 1),
        }

    def ours(self, size: int, writers: int) -> Turn:
        """Return our turn."""
        return self._turn("consignee", size, self._lab.pick(20_000, 5_000) if writers > 1 else 1_000, writers)

    def diskcache(self, size: int, writers: int) -> dict[str, Turn]:
        """Return its turn."""
        return {"diskcache": self._turn("diskcache", size, 500, writers)}

    def files(self, size: int, writers: int) -> dict[str, Turn]:
        """Return the turns of what writes its file anew: each begins with a new one."""
        path = self._disk / f"rewritten-{size}.json"
        return {
            "one file written anew": partial(
                self._lab.turn, "store_rewritten", size, path, 1_000 if writers > 1 else 100, writers
            ),
            "TinyDB": partial(self._lab.turn, "store_rewritten", size, path, 40, writers, "tinydb"),
        }

    def disk(self) -> dict[str, Turn]:
        """Return the turn of the disk by itself."""
        return {DISK: partial(self._lab.turn, "store_disk", self._disk / "alone", 1_000)}

    def start(self, size: int) -> Turn:
        """Return the turn of an opening."""
        return lambda: self._lab.turn("store_start", size, self._made("consignee", size))

    def stall(self, size: int) -> Turn:
        """Return the turn that ends with the file written anew: it needs one of its own each time."""

        def turn() -> Sample:
            path = self._disk / "stale"
            shutil.copytree(self._made("consignee", size, accounts=1, revisions=3), path)
            try:
                return self._lab.turn("store_stall", size, path, self._lab.pick(5_000, 2_000))
            finally:
                shutil.rmtree(path)

        return turn

    def _turn(self, which: str, size: int, *arguments: int) -> Turn:
        return lambda: self._lab.turn(f"store_{which}", size, self._made(which, size), *arguments)

    def _made(self, which: str, size: int, *, accounts: int = 0, revisions: int = 1) -> Path:
        accounts = accounts or (size + 20_000) // 25
        path = self._disk / f"{which}-{size}-{accounts}-{revisions}"
        if not path.exists():
            self._lab.turn("store_fill", which, path, size, accounts, revisions)
        return path
