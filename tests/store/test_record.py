"""The lines of the files: JSON as Python's own encoder writes it, and read back to the same."""

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.store import Document
from consignee.store.record import Record, decode_document, encode_record, parse_record, revision_in

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=20,
)
_DATA = st.none() | st.dictionaries(_TEXT, _VALUES)
_REVISIONS = st.integers(1, 10**15)


def plainly_encoded(account: str, id_: str, revision: int, data: Any) -> bytes:
    """Return the line as json.dumps makes it."""
    fields = {"account": account, "id": id_, "revision": revision, "data": data}
    rest = json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()[1:]
    return b'{"sum":"%08x",%b\n' % (zlib.crc32(rest), rest)


@given(_TEXT, _TEXT, _REVISIONS, _DATA)
def test_a_line_is_what_json_writes(account: str, id_: str, revision: int, data: dict[str, Any] | None) -> None:
    """Byte for byte: these files outlive the version that wrote them."""
    assert encode_record(account, id_, revision, data) == plainly_encoded(account, id_, revision, data)


@given(_TEXT, _TEXT, _REVISIONS, _DATA)
def test_a_line_is_read_back(account: str, id_: str, revision: int, data: dict[str, Any] | None) -> None:
    """Whatever account and id look like: also like the keys of a line."""
    line = encode_record(account, id_, revision, data)
    assert parse_record(line) == Record(account, id_, revision, data is None)
    assert revision_in(line) == revision
    assert decode_document(line) == Document.encoded(account, id_, revision, line)
    assert json.loads(line)["data"] == data


@pytest.mark.parametrize("text", ['","revision":7,"data":{', '\\","revision":7,', '"', "\\", "\n"])
def test_a_name_is_not_taken_for_the_end_of_itself(text: str) -> None:
    line = encode_record(text, text, 3, {"revision": 9})
    assert (revision_in(line), parse_record(line)) == (3, Record(text, text, 3, removed=False))


def test_what_has_no_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["itself"] = endless
    with pytest.raises(ValueError, match="holds itself"):
        encode_record("a", "1", 1, endless)


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(300_000):  # Python 3.11 takes 1,000, 3.13 takes 10,000, and 3.14 what its stack has room for
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        encode_record("a", "1", 1, {"deep": deep})
