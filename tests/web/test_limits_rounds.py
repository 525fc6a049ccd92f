"""The order in which requests begin."""

import asyncio

from consignee.web.rounds import Rounds


async def begun(rounds: Rounds, order: list[str], account: str) -> None:
    """Note when the account's request begins."""
    await rounds.turn(account)
    order.append(account)


async def test_who_asks_once_waits_for_one_round_and_not_for_a_crowd() -> None:
    rounds, order = Rounds(each_round=2), list[str]()
    async with asyncio.TaskGroup() as group:
        for account in [*"aaaaaaaaaa", "b", "c"]:
            group.create_task(begun(rounds, order, account))
    assert order[:2] == ["a", "a"]
    assert {"b", "c"} < set(order[2:5])
    assert order[5:] == ["a"] * 7


async def test_nobody_waits_where_there_is_room() -> None:
    """The next round begins with all of its places, however many were taken in this one."""
    rounds = Rounds(each_round=2)
    for _ in range(5):
        waits = [rounds.turn(account) for account in "ab"]
        for wait in waits:
            try:
                wait.send(None)
            except StopIteration:
                continue
            raise AssertionError("it had to wait")
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_who_went_away_takes_nobody_s_turn() -> None:
    rounds, order = Rounds(each_round=1), list[str]()
    waiting = [asyncio.create_task(begun(rounds, order, account)) for account in "abcd"]
    await asyncio.sleep(0)
    for task in waiting[1:3]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert order == ["a", "d"]


async def test_of_requests_that_take_no_time_many_begin_in_a_round() -> None:
    """Until the round is as old as it may get; then the accounts take turns as ever."""
    now, order = 0.0, list[str]()
    rounds = Rounds(seconds=1.0, clock=lambda: now)

    async def spending(account: str) -> None:
        nonlocal now
        await begun(rounds, order, account)
        now += 0.25

    async with asyncio.TaskGroup() as group:
        for account in [*"aaaaaaaa", "b"]:
            group.create_task(spending(account))
    assert order[:4] == ["a"] * 4
    assert "b" in order[4:7]
    assert sorted(order) == [*"aaaaaaaa", "b"]


async def test_after_a_round_that_was_long_one_request_begins_in_the_next() -> None:
    now, order = 0.0, list[str]()
    rounds = Rounds(seconds=1.0, clock=lambda: now)
    first = asyncio.create_task(begun(rounds, order, "a"))
    await first
    now = 5.0
    waiting = [asyncio.create_task(begun(rounds, order, account)) for account in "bcd"]
    await asyncio.gather(*waiting)
    assert order == ["a", "b", "c", "d"]
