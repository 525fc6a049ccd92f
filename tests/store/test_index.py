"""What a store holds in memory is found by the beginning of its id, without looking at everything."""

from hypothesis import given
from hypothesis import strategies as st

from consignee.store.index import Change, Index
from consignee.store.record import encode_record

_IDS = st.text("ab.", max_size=5)


@given(st.lists(st.tuples(_IDS, st.booleans()), max_size=30), _IDS)
def test_a_prefix_finds_what_begins_with_it_in_the_order_of_the_first_saves(
    steps: list[tuple[str, bool]], prefix: str
) -> None:
    """Wherever its dots are, and whatever was removed and saved again meanwhile."""
    index, expected = Index(), dict[str, int]()
    for revision, (id_, removed) in enumerate(steps, 1):
        index.apply(Change("kind", "ann", id_, revision, encode_record("ann", id_, revision, {}), removed=removed))
        expected = {one: number for one, number in expected.items() if one != id_ or not removed}
        expected |= {} if removed else {id_: revision}
    found = [(one.id, one.revision) for one in index.list("ann", prefix)]
    assert found == [(one, revision) for one, revision in expected.items() if one.startswith(prefix)]
    assert index.ids("ann", prefix) == [one for one, _ in found]
    assert index.list("bob", prefix) == []


def test_of_what_was_removed_nothing_stays() -> None:
    index = Index()
    for removed in (False, True):
        index.apply(Change("kind", "ann", "a.b.c", 1, encode_record("ann", "a.b.c", 1, {}), removed=removed))
    assert index.list("ann", "a.") == index.list("ann", "a.b.") == index.list("ann") == []
    assert index.ids("ann", "a.") == index.ids("ann", "a.b.") == index.ids("ann") == []
    assert index.accounts() == []
    assert index.live_bytes == 0
