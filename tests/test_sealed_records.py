"""Whoever can write to the store can't have one sealed secret taken for another: each change is noticed."""

import os
import random
from collections import Counter

import pytest

from consignee.errors import StoreError
from consignee.secret import Sealer
from tampering import WAYS, Record, records

TRIES = int(os.environ.get("TAMPERINGS", "1000"))
SEALERS = [Sealer(bytes(32)), Sealer(bytes(range(32)))]
RING = Sealer(bytes(32), older=[bytes(range(32))])


def test_every_record_opens_as_long_as_nobody_changes_it() -> None:
    """With one ring for both keys: else what follows would prove nothing."""
    made = records(SEALERS, random.Random(0))
    assert len(made) == 90
    assert [RING.open(one.sealed, **one.place).reveal() for one in made] == [one.plain for one in made]


def test_every_swap_and_every_flipped_bit_is_noticed() -> None:
    """`TAMPERINGS` says how many are tried; never does another plaintext come out, nor the right one."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201
    dice = random.Random(seed)
    made = records(SEALERS, dice)
    tried: Counter[str] = Counter()
    while tried.total() < TRIES:
        one, other = dice.sample(made, 2)
        way = dice.choice(list(WAYS))
        if (changed := WAYS[way](one, other, dice)) != one:
            require_notice(changed)
            tried[way] += 1
    assert set(tried) == set(WAYS)
    print(f"{tried.total()} changes of sealed records, {tried.total()} noticed: {dict(tried)}")  # noqa: T201


def require_notice(changed: Record) -> None:
    """Fail unless it is refused, with nothing of what it was."""
    with pytest.raises(StoreError, match=r"altered or belongs elsewhere|is sealed with key") as refused:
        RING.open(changed.sealed, **changed.place)
    assert changed.plain not in str(refused.value)
