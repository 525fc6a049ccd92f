"""A document that was read is decoded when its data are first asked for; nobody can tell it from one that was made whole."""

from copy import deepcopy
from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from consignee.store import Document
from consignee.store.record import encode_record

DATA = {"list": [1, None], "text": 'ü","revision":9,"data":{'}


@pytest.fixture
def read() -> Document:
    """A document as a store returns it, not decoded yet."""
    return Document.encoded("ann", "1", 2, encode_record("ann", "1", 2, DATA))


def test_it_equals_the_same_document_that_was_made_whole(read: Document) -> None:
    assert read == Document("ann", "1", 2, DATA)
    assert read != Document("ann", "1", 2, {})
    assert repr(read) == repr(Document("ann", "1", 2, DATA))


def test_its_data_stay_the_same_object(read: Document) -> None:
    """What a reader does to them, that reader finds again, and no other one."""
    other = deepcopy(read)
    read.data["list"].append(2)
    assert read.data["list"] == [1, None, 2]
    assert other.data == DATA


def test_it_can_be_copied_with_something_else(read: Document) -> None:
    assert replace(read, data={}) == Document("ann", "1", 2, {})
    assert replace(read, revision=3) == Document("ann", "1", 3, DATA)
    assert asdict(read)["data"] == DATA


def test_it_is_frozen_and_has_nothing_else(read: Document) -> None:
    with pytest.raises(FrozenInstanceError):
        read.data = {}  # type: ignore[misc]
    with pytest.raises(AttributeError, match="owner"):
        read.owner  # type: ignore[attr-defined]  # noqa: B018
