"""Whose turn it is, when to look again, and what that costs."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.queue import Job
from consignee.queue.alarms import Alarms
from consignee.queue.lanes import Chosen, Lanes
from consignee.queue.rotation import Rotation

NOW = 1000.0
UNTIL = NOW + 30


def job(id_: str, *, account: str = "a", lane: str = "l", due: float | None = NOW, lease: float | None = None) -> Job:
    return Job(account=account, id=id_, lane=lane, data={}, due=due, lease=lease)


def filled(shape: dict[tuple[str, str], int]) -> Lanes:
    """Return lanes with so many jobs each, all due."""
    lanes = Lanes()
    for (account, lane), count in shape.items():
        for number in range(count):
            lanes.put(job(f"{lane}.{number}", account=account, lane=lane), 1)
    return lanes


def chosen(lanes: Lanes, limit: int = 100, *, each: int = 4, now: float = NOW) -> list[str]:
    return [one.id for one in lanes.choose(limit, each=each, now=now, ticks=now, until=UNTIL)]


def next_time(lanes: Lanes) -> float | None:
    """Return when there will be something new, with one clock for all."""
    return lanes.pause(0, 0)


def lane_of(one: Chosen) -> str:
    return one.id.split(".")[0]


@given(
    st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), st.integers(1, 9), min_size=1),
    st.integers(1, 5),
    st.integers(1, 40),
)
def test_each_choice_is_of_the_account_and_the_lane_that_have_least(
    shape: dict[tuple[str, str], int], each: int, limit: int
) -> None:
    """Of those that have something to give; and the choice ends when the limit is reached, or nobody has."""
    left = Counter({place: min(count, each) for place, count in shape.items()})
    leased: Counter[tuple[str, str]] = Counter()
    found = filled(shape).choose(limit, each=each, now=NOW, ticks=NOW, until=UNTIL)
    assert len(found) == min(limit, left.total())
    for one in found:
        able = [place for place, count in left.items() if count]
        by_account = {a: sum(count for place, count in leased.items() if place[0] == a) for a, _ in able}
        assert by_account[one.account] == min(by_account.values())
        mine = {lane: leased[a, lane] for a, lane in able if a == one.account}
        assert mine[lane_of(one)] == min(mine.values())
        leased[one.account, lane_of(one)] += 1
        left[one.account, lane_of(one)] -= 1


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_who_just_had_a_turn_is_last(limit: int) -> None:
    """Also if what is claimed always ends before the next claim, so that nobody ever has more than others."""
    lanes = filled({(a, lane): 100 for a in "abc" for lane in "xy"})
    turns: list[tuple[str, str]] = []
    while len(turns) < 60:
        for one in lanes.choose(limit, each=4, now=NOW, ticks=NOW, until=UNTIL):
            turns.append((one.account, lane_of(one)))
            lanes.drop(one.account, one.id)
    assert set(Counter(turns[:60]).values()) == {10}
    assert set(Counter(turns[:6]).values()) == {1}


def test_a_newcomer_is_not_behind_what_others_have_piled_up() -> None:
    lanes = filled({("old", f"{n}"): 5 for n in range(20)})
    assert len(chosen(lanes, 30)) == 30
    lanes.put(job("new", account="new"), 1)
    assert chosen(lanes, 1) == ["new"]


def test_an_account_whose_jobs_are_slow_does_not_take_all_places() -> None:
    """Of 8 places each account keeps half, though one's jobs end at once and the other's never."""
    lanes = filled({("slow", f"s{n}"): 4 for n in range(10)} | {("fast", f"f{n}"): 100 for n in range(10)})
    running = lanes.choose(8, each=4, now=NOW, ticks=NOW, until=UNTIL)
    for _ in range(50):
        for one in [one for one in running if one.account == "fast"]:
            lanes.drop(one.account, one.id)
            running.remove(one)
        running += lanes.choose(8 - len(running), each=4, now=NOW, ticks=NOW, until=UNTIL)
    assert Counter(one.account for one in running) == {"fast": 4, "slow": 4}


def test_what_changes_from_claim_to_claim_is_how_many_may_be_leased() -> None:
    lanes = filled({("a", "l"): 9})
    assert [len(chosen(lanes, each=each)) for each in (2, 1, 3, 2, 5)] == [2, 0, 1, 0, 2]


def test_jobs_that_are_due_at_the_same_time_come_in_the_order_they_came() -> None:
    lanes = filled({("a", "l"): 20})
    assert chosen(lanes, 20, each=20) == [f"l.{number}" for number in range(20)]


def test_an_older_revision_does_not_replace_a_newer_one() -> None:
    lanes = Lanes()
    lanes.put(replace(job("1"), due=NOW + 99), 3)
    lanes.put(job("1"), 2)
    assert chosen(lanes) == []
    lanes.put(job("1"), 4)
    assert chosen(lanes) == ["1"]


def test_a_lease_that_was_extended_ends_later() -> None:
    lanes = filled({("a", "l"): 1})
    assert chosen(lanes) == ["l.0"]
    assert next_time(lanes) == UNTIL
    assert lanes.extend("a", "l.0", 1, UNTIL + 20)
    assert next_time(lanes) == UNTIL + 20
    assert chosen(lanes, now=UNTIL + 19) == []
    assert not lanes.extend("a", "l.0", 0, UNTIL + 99)
    assert chosen(lanes, now=UNTIL + 20) == ["l.0"]


def test_it_is_told_when_to_look_again_and_that_is_told_once() -> None:
    """Time alone does not make a full lane, or one that awaits a word, give more."""
    lanes = filled({("a", "l"): 9})
    lanes.put(job("later", lane="later", due=NOW + 5), 1)
    lanes.hold("a", "held", NOW + 7)
    lanes.put(job("held", lane="held"), 1)
    assert lanes.ripen(NOW, NOW)
    assert not lanes.ripen(NOW, NOW)
    assert len(chosen(lanes)) == 4
    assert next_time(lanes) == NOW + 5
    assert chosen(lanes, now=NOW + 5) == ["later"]
    assert next_time(lanes) == NOW + 7
    assert chosen(lanes, now=NOW + 7) == ["held"]
    assert next_time(lanes) == UNTIL
    lanes.put(job("held", lane="held"), 2, told=True)
    assert next_time(lanes) == UNTIL
    assert not lanes.ripen(UNTIL - 1, UNTIL - 1)


def test_nothing_is_kept_of_what_ended() -> None:
    lanes = filled({(a, lane): 5 for a in "abc" for lane in "xy"})
    while found := lanes.choose(7, each=4, now=NOW, ticks=NOW, until=UNTIL):
        for one in found:
            lanes.put(job(one.id, account=one.account, lane=lane_of(one), due=None), 2)
    lanes.hold("a", "x", None)
    assert next_time(lanes) is None
    assert not lanes.ready
    assert (lanes._jobs, lanes._accounts) == ({}, {})


def test_a_rotation_has_those_first_that_have_least_and_then_those_that_waited() -> None:
    rotation = Rotation()
    assert rotation.first() is None
    for name, count in (("a", 1), ("b", 0), ("c", 0), ("b", 0)):
        rotation.put(name, count)
    assert rotation.first() == "b"
    rotation.put("b", 1)
    assert rotation.first() == "c"
    rotation.drop("c")
    rotation.drop("c")
    assert rotation.first() == "a"
    assert "a" in rotation and "c" not in rotation


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 9))), st.integers(0, 9))
def test_an_alarm_rings_once_and_at_the_time_that_was_set_last(
    settings: list[tuple[int, int | None]], now: int
) -> None:
    alarms: Alarms[int] = Alarms()
    times: dict[int, float] = {}
    for thing, time in settings:
        times.pop(thing, None)
        if time is None:
            alarms.drop(thing)
        else:
            alarms.set(thing, time)
            times[thing] = time
    assert alarms.first() == min(times.values(), default=None)
    rung = list(alarms.rung(now))
    assert sorted(rung) == sorted(thing for thing, time in times.items() if time <= now)
    assert list(alarms.rung(now)) == []
    assert alarms.first() == min((time for time in times.values() if time > now), default=None)
