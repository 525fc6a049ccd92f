"""The benchmark's own arithmetic: what it says of the product is only as good as this."""

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))
from contest import Aim, Contest, Result, Sample, hold
from results import render


def contest(*aims: Aim, **rates: tuple[float, ...]) -> Contest:
    def contender(found: tuple[float, ...]) -> Callable[[], Sample]:
        turns = iter(found)
        return lambda: Sample(next(turns), cpu=0.002)

    return Contest("uploads", "object", {name: contender(found) for name, found in rates.items()}, aims)


def test_contenders_take_turns_and_each_round_begins_with_another() -> None:
    order: list[str] = []
    number = count(1)

    def turn(name: str) -> Callable[[], Sample]:
        def take() -> Sample:
            order.append(name)
            return Sample(float(next(number)))

        return take

    result = hold(Contest("x", "y", {"a": turn("a"), "b": turn("b")}), rounds=3)

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert result.figures("a", "rate") == [1.0, 4.0, 5.0]


def test_a_ratio_is_of_medians_and_beside_several_the_best_of_them_counts() -> None:
    aim = Aim("rate", least=1.0, beside=("slow", "fast"))
    result = hold(contest(aim, consignee=(100, 1, 90), slow=(10, 10, 10), fast=(99, 101, 100)), rounds=3)

    assert aim.measured(result) == pytest.approx(0.9)
    assert not aim.met(result)
    assert Aim("rate", least=9.0, beside=("slow",)).met(result)


def test_of_what_shall_be_small_the_smallest_of_the_others_counts() -> None:
    samples = {"consignee": [Sample(1, cpu=0.3)], "a": [Sample(1, cpu=0.2)], "b": [Sample(1, cpu=0.1)]}
    result = Result(Contest("x", "y", {}), samples)

    assert Aim("cpu", most=2.0, beside=("a", "b")).measured(result) == pytest.approx(3.0)
    assert not Aim("cpu", most=2.0, beside=("a", "b")).met(result)
    assert Aim("cpu", most=0.3).met(result)


def test_the_page_says_of_each_aim_what_was_measured_and_whether_it_is_met() -> None:
    aims = (Aim("rate", least=2.0, beside=("rclone",)), Aim("cpu", most=0.001))
    result = hold(contest(*aims, consignee=(300, 300), rclone=(100, 100)), rounds=2)

    page = render([result], command="bench", rounds=2, load=0.0)

    assert "| uploads | object/s | rclone | ≥ 2 x | **3 x** (+0 to +0 %) | yes |" in page
    assert "| uploads | CPU ms per object |  | ≤ 1 | **2** (+0 to +0 %) | **no** |" in page
    assert "| consignee | 300 | 2 | 300 to 300 |" in page


def test_the_kept_page_comes_from_one_whole_run() -> None:
    """Not from a quick one, and not from some of the cases."""
    page = (Path(__file__).parents[1] / "bench" / "RESULTS.md").read_text()

    assert "`python bench/run.py --results bench/RESULTS.md`" in page
