"""The buckets of tokens; time is a number that the tests set."""

import pytest

from consignee.errors import RateLimited
from consignee.rates import Quota, Rates


class Clock:
    """Says what it is told to say."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still by itself."""
    return Clock()


def rates(clock: Clock, *, per_second: float = 2.0, burst: int = 4, keys: int = 10) -> Rates:
    """Two a second, four at once."""
    return Rates("things", what="things", per_second=per_second, burst=burst, keys=keys, clock=clock)


def test_a_burst_is_let_through_and_then_the_rate(clock: Clock) -> None:
    limited = rates(clock)
    left = [quota.left for quota in [limited.take("a") for _ in range(4)] if quota is not None]
    assert left == [3, 2, 1, 0]
    with pytest.raises(RateLimited, match="Too many things: 2 a second, and 4 at once, are allowed") as caught:
        limited.take("a")
    assert caught.value.retry_after == 1
    assert caught.value.quota == Quota("things", most=4, window=2, left=0, full_in=2)
    clock.now += 0.5
    assert limited.take("a") is not None
    with pytest.raises(RateLimited):
        limited.take("a")


def test_each_key_has_a_rate_of_its_own(clock: Clock) -> None:
    limited = rates(clock, burst=1)
    assert limited.take("a") and limited.take("b")
    with pytest.raises(RateLimited):
        limited.take("a")


def test_a_refusal_costs_nothing_and_never_lasts_longer_than_it_says(clock: Clock) -> None:
    limited = rates(clock, per_second=0.1, burst=1)
    limited.take("a")
    for _ in range(50):
        with pytest.raises(RateLimited) as caught:
            limited.take("a")
    assert caught.value.retry_after == 10
    clock.now += caught.value.retry_after
    assert limited.take("a") is not None


def test_no_more_than_a_burst_is_ever_saved_up(clock: Clock) -> None:
    limited = rates(clock)
    limited.take("a")
    clock.now += 1_000_000
    assert limited.take("a") == Quota("things", most=4, window=2, left=3, full_in=1)


def test_what_costs_more_than_is_left_is_begun_and_owed_up_to_one_burst(clock: Clock) -> None:
    limited = rates(clock)
    assert limited.take("a", cost=1000) == Quota("things", most=4, window=2, left=0, full_in=4)
    with pytest.raises(RateLimited) as caught:
        limited.take("a")
    assert caught.value.retry_after == 3
    clock.now += 3
    assert limited.take("a") is not None


def test_what_is_owed_afterwards_is_refused_only_to_who_owes_already(clock: Clock) -> None:
    """The last token is enough to begin with, and nobody is let in to be refused again and again for what follows."""
    limited = rates(clock, burst=1)
    limited.take("a")
    assert limited.owe("a", cost=1000) == Quota("things", most=1, window=1, left=0, full_in=1)
    with pytest.raises(RateLimited) as caught:
        limited.owe("a", cost=1)
    assert caught.value.retry_after == 1
    clock.now += 1
    limited.take("a")
    assert limited.owe("a", cost=1) is not None


def test_a_clock_that_goes_back_takes_nothing_away(clock: Clock) -> None:
    limited = rates(clock)
    limited.take("a")
    clock.now -= 500
    quota = limited.take("a")
    assert quota is not None and quota.left == 2


def test_zero_means_no_limit(clock: Clock) -> None:
    limited = rates(clock, per_second=0, burst=1)
    assert [limited.take("a") for _ in range(100)] == [None] * 100
    assert limited.owe("a", cost=1000) is None
    assert len(limited) == 0


def test_the_memory_is_bounded_and_those_who_ask_are_remembered(clock: Clock) -> None:
    """However many addresses somebody has: those that asked for nothing the longest are forgotten."""
    limited = rates(clock, per_second=0.001, burst=1, keys=10)
    for number in range(1000):
        limited.take(str(number))
        with pytest.raises(RateLimited):
            limited.take(str(number))
    assert len(limited) == 10
    with pytest.raises(RateLimited):
        limited.take("999")
    assert limited.take("0") is not None
