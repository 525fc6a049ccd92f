"""Whatever is done to a store, in whatever order, and wherever it crashes: it holds what the model holds.

`STEPS` says how many steps are done in all.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consignee.errors import Conflict, LimitReached
from consignee.store import Document
from consignee.store.json_file import JsonFileStore

STEPS = int(os.environ.get("STEPS", "300"))
IN_ONE = 50
BOUNDED = settings(
    max_examples=max(1, STEPS // IN_ONE),
    stateful_step_count=IN_ONE,
    deadline=None,
    database=None,
    derandomize="STEPS" not in os.environ,
    phases=[Phase.generate],  # to find a shorter way to a failure would take many times as long as the test
    suppress_health_check=list(HealthCheck),
)
KINDS = st.sampled_from(["deliveries", "result_sets"])
ACCOUNTS = st.sampled_from("ab")
IDS = st.sampled_from(["1.1", "1.2", "2.1", "3"])
DATA = st.dictionaries(st.sampled_from("xyz"), st.text(max_size=300), max_size=2)
LIMIT = 3
Place = tuple[str, str, str]
_T = TypeVar("_T")


def copied(before: Path, after: Path) -> Path:
    """Return a copy of a directory as a crash would leave it: what is being made there may vanish meanwhile."""
    after.mkdir(mode=0o700)
    for path in sorted(before.rglob("*")):
        place = after / path.relative_to(before)
        try:
            place.mkdir(mode=0o700) if path.is_dir() else shutil.copy(path, place)
        except FileNotFoundError:
            assert path.suffix == ".new"
    return after


class StoreMachine(RuleBasedStateMachine):
    """Does to the store and to the model the same."""

    steps = crashes = 0

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.place = Path(tempfile.mkdtemp(prefix="store-"))
        self.model: dict[Place, tuple[int, Mapping[str, Any]]] = {}
        self.opened(self.place / "0")

    def opened(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self.directory = directory
        self.store = JsonFileStore(directory, compact_above=2000, reserve=4096)
        self.run(self.store.open())

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        self.crash_now(0, {})
        self.all_is_there()
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.place)

    def revision(self, place: Place) -> int:
        return self.model.get(place, (0, {}))[0]

    @rule(kind=KINDS, account=ACCOUNTS, id_=IDS, data=DATA, limited=st.booleans())
    def create(self, kind: str, account: str, id_: str, data: dict[str, Any], *, limited: bool) -> None:
        place, count = (kind, account, id_), sum(one[:2] == (kind, account) for one in self.model)
        creating = self.store.save(kind, account, id_, data, limit=LIMIT if limited else None)
        if place in self.model:
            with pytest.raises(Conflict):
                self.run(creating)
        elif limited and count >= LIMIT:
            with pytest.raises(LimitReached):
                self.run(creating)
        else:
            assert self.run(creating).revision == 1
            self.model[place] = 1, data

    @rule(kind=KINDS, account=ACCOUNTS, id_=IDS, data=DATA, off=st.sampled_from([0, 0, 0, 1]))
    def update(self, kind: str, account: str, id_: str, data: dict[str, Any], off: int) -> None:
        place = kind, account, id_
        replaces = self.revision(place) + off
        updating = self.store.save(kind, account, id_, data, replaces=replaces)
        if off:
            with pytest.raises(Conflict):
                self.run(updating)
        else:
            assert self.run(updating).revision == replaces + 1
            self.model[place] = replaces + 1, data

    @rule(kind=KINDS, account=ACCOUNTS, id_=IDS, off=st.sampled_from([0, 0, 1]))
    def remove(self, kind: str, account: str, id_: str, off: int) -> None:
        place = kind, account, id_
        removing = self.store.remove(kind, account, id_, replaces=self.revision(place) + off)
        if off or place not in self.model:
            with pytest.raises(Conflict):
                self.run(removing)
        else:
            self.run(removing)
            del self.model[place]

    @rule(kind=KINDS, account=ACCOUNTS, id_=IDS)
    def compact(self, kind: str, account: str, id_: str) -> None:
        """Write the same document until its file is mostly dead."""
        for _ in range(8):
            self.update(kind, account, id_, {"filler": "x" * 500}, 0)

    @rule(under_way=st.integers(0, 4), data=DATA)
    def crash(self, under_way: int, data: dict[str, Any]) -> None:
        """Go on with the bytes as they are while some writes are under way: each of these was done, or was not."""
        self.crash_now(under_way, data)
        type(self).crashes += 1

    def crash_now(self, under_way: int, data: dict[str, Any]) -> None:
        changing = self.run(self.copied_while(sorted(self.model)[:under_way], data))
        for place in changing:
            if (found := self.found(place)) is not None and found.revision > self.revision(place):
                self.model[place] = self.revision(place) + 1, data

    async def copied_while(self, changing: list[Place], data: dict[str, Any]) -> list[Place]:
        saves = [
            asyncio.ensure_future(self.store.save(*place, data, replaces=self.revision(place))) for place in changing
        ]
        for _ in range(len(changing) % 3):
            await asyncio.sleep(0)
        after = copied(self.directory, self.place / str(int(self.directory.name) + 1))
        await asyncio.gather(*saves)
        await self.store.close()
        shutil.rmtree(self.directory)
        self.directory, self.store = after, JsonFileStore(after, compact_above=2000, reserve=4096)
        await self.store.open()
        return changing

    def found(self, place: Place) -> Document | None:
        return self.run(self.store.get(*place))

    @invariant()
    def all_is_there(self) -> None:
        """Nothing is lost, nothing is back, and nothing else is there, however one looks."""
        type(self).steps += 1
        for kind in ("deliveries", "result_sets"):
            for account in "ab":
                known = {one[2]: value for one, value in self.model.items() if one[:2] == (kind, account)}
                shown = {one.id: (one.revision, one.data) for one in self.run(self.store.list(kind, account))}
                assert shown == known
                assert self.run(self.store.count(kind, account)) == len(known)
                within = [id_ for id_ in self.run(self.store.ids(kind, account)) if id_.startswith("1.")]
                assert self.run(self.store.ids(kind, account, prefix="1.")) == within
                assert {*within} == {id_ for id_ in known if id_.startswith("1.")}


StoreMachine.TestCase.settings = BOUNDED


def test_the_store_does_what_the_model_does() -> None:
    StoreMachine.steps = StoreMachine.crashes = 0
    StoreMachine.TestCase("runTest").runTest()
    assert StoreMachine.steps > STEPS / 2
    assert StoreMachine.crashes > 0
    print(f"{StoreMachine.steps} steps, {StoreMachine.crashes} of them crashes, none lost")  # noqa: T201
