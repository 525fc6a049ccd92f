"""The judge of the crash tests: it must see every kind of loss."""

from pathlib import Path

import pytest

from store.ledger import Ledger


@pytest.fixture
def ledger() -> Ledger:
    """One document: two acknowledged changes, and two that were only begun."""
    ledger = Ledger()
    for value in ("1", "2"):
        ledger.begin("a/x", value)
        ledger.acknowledge("a/x", value)
    ledger.begin("a/x", "3")
    ledger.begin("a/x", None)
    return ledger


@pytest.mark.parametrize("found", [{"a/x": "2"}, {"a/x": "3"}, {}])
def test_the_acknowledged_value_or_a_later_one_is_right(ledger: Ledger, found: dict[str, str]) -> None:
    assert ledger.complaints(found) == []
    assert ledger.acknowledged == 2


@pytest.mark.parametrize("found", [{"a/x": "1"}, {"a/x": "other"}, {"a/x": "2", "a/y": "1"}])
def test_an_older_or_an_unknown_value_is_wrong(ledger: Ledger, found: dict[str, str]) -> None:
    assert len(ledger.complaints(found)) == 1


def test_an_acknowledged_document_must_be_there_and_a_removed_one_not() -> None:
    ledger = Ledger()
    for document, value in (("a/x", "1"), ("a/y", "1"), ("a/y", None)):
        ledger.begin(document, value)
        ledger.acknowledge(document, value)
    assert ledger.complaints({"a/x": "1"}) == []
    assert len(ledger.complaints({"a/y": "1"})) == 2


def test_what_was_found_counts_from_then_on(ledger: Ledger) -> None:
    ledger.settle({"a/x": "3"})
    assert ledger.complaints({"a/x": "3"}) == []
    assert len(ledger.complaints({"a/x": "2"})) == 1
    assert len(ledger.complaints({})) == 1


def test_what_was_acknowledged_after_the_cut_does_not_count(tmp_path: Path) -> None:
    events = tmp_path / "events"
    first = '["begin","a/x","1"]\n["acknowledge","a/x","1"]\n'
    events.write_text(first + '["begin","a/x","2"]\n["acknowledge","a/x","2"]\n')
    ledger = Ledger()
    ledger.read(events, until=len(first))
    assert ledger.acknowledged == 1
    assert ledger.complaints({"a/x": "1"}) == []
    assert ledger.complaints({"a/x": "2"}) == []
    assert len(ledger.complaints({})) == 1


def test_events_are_read_up_to_a_cut_line(tmp_path: Path) -> None:
    events = tmp_path / "events"
    events.write_text('["begin","a/x","1"]\n["acknowledge","a/x","1"]\n["begin","a/x","2"')
    ledger = Ledger()
    ledger.read(events)
    assert ledger.complaints({"a/x": "1"}) == []
    assert len(ledger.complaints({"a/x": "2"})) == 1
