"""Which file names are taken, and that no two of a result set can be mistaken for one another."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.delivery.file_names import NAME_BYTES, Names, problem
from consignee.errors import InvalidRequest

E_ACUTE, E_AND_ACUTE = "\xe9", "e\u0301"


def refusal(names: Names, name: str) -> str:
    """Return the one text with which a name is refused."""
    with pytest.raises(InvalidRequest) as caught:
        names.add(name)
    assert list(caught.value.errors) == ["files"]
    (text,) = caught.value.errors["files"]
    return text


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "report.csv",
        ".hidden",
        "...",
        "a..b",
        " leading and trailing ",
        "dot at the end.",
        "%DATE%",
        "a%2Fb",
        "a\"b'c<d>e|f?g*h:i",
        "日本.txt",
        "\U0001f600.png",
        E_AND_ACUTE,
        "x" * NAME_BYTES,
        "日" * 85,
        "_manifest.json",
    ],
)
def test_what_a_key_can_hold_is_taken(name: str) -> None:
    assert problem(name) is None
    Names().add(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        (" \t ", "empty"),
        ("\xa0\u3000", "empty"),
        ("a/b", "slash"),
        ("/a", "slash"),
        ("..\\a", "backslash"),
        (".", "must not be . or .."),
        ("..", "must not be . or .."),
        ("a\x00b", "control characters"),
        ("a\nb", "control characters"),
        ("a\x7f", "control characters"),
        ("a\x85", "control characters"),
        ("a\ud800", "surrogates"),
        ("a\uffff", "U+FFFF"),
        ("a\ufffe", "U+FFFF"),
        ("x" * (NAME_BYTES + 1), "255 bytes"),
        ("日" * 86, "255 bytes"),
    ],
)
def test_what_no_key_can_hold_is_refused(name: str, why: str) -> None:
    found = problem(name)
    assert found is not None
    assert found.startswith("must ")
    assert why in found


@pytest.mark.parametrize("name", ["a\uff0fb", "a\uff3cb", "\u2025", "\u2024.", "\uff0e\uff0e", "\u2100", "\ufe68x"])
def test_what_normalizes_into_a_way_out_is_refused(name: str) -> None:
    found = problem(name)
    assert found is not None
    assert found.endswith(", also after Unicode normalization")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.csv", "a.csv"),
        pytest.param(E_ACUTE, E_AND_ACUTE, id="composed and decomposed"),
        pytest.param("\u212b", "\xc5", id="angstrom and a-ring"),
        pytest.param("\ufb01le", "file", id="ligature"),
        pytest.param("\uff41", "a", id="full width"),
        pytest.param("a\xa0b", "a b", id="no-break space"),
    ],
)
def test_a_name_that_repeats_is_refused(first: str, second: str) -> None:
    """Either way round, and also when it repeats only after Unicode normalization."""
    for one, other in ((first, second), (second, first)):
        names = Names()
        names.add(one)
        assert "repeats" in refusal(names, other)


def test_names_that_differ_in_case_or_in_white_space_are_two() -> None:
    names = Names()
    for name in ("a", "A", "a ", " a", "ß", "ss"):
        names.add(name)
    assert "repeats" in refusal(names, "A")


@pytest.mark.parametrize("name", ["_manifest.json", "\uff3fmanifest.json"])
def test_a_reserved_name_is_refused(name: str) -> None:
    assert refusal(Names(reserved=("_manifest.json",)), name).endswith("is reserved")


@pytest.mark.parametrize("name", ["a\nb", "a\ud800", "\x1b[31m/", "x" * 100_000])
def test_a_refusal_can_be_shown(name: str) -> None:
    """One short line that any terminal, log or answer can hold."""
    text = refusal(Names(), name)
    assert text.encode().decode().isprintable()
    assert len(text) < 200
    assert json.loads(json.dumps(text)) == text


def test_a_refused_name_takes_no_place() -> None:
    names = Names()
    refusal(names, "a/b")
    names.add("a")
    refusal(names, "a")
    names.add("b")


@given(
    st.lists(st.text(alphabet=st.characters(), max_size=300) | st.text(alphabet="aAe\u0301\xe9\uff41/.\\", max_size=3))
)
def test_what_is_taken_stays_apart_in_every_form(names: list[str]) -> None:
    """However a customer's system normalizes: as many names as files, none a way out, none too long for a key."""
    taken, known = [], Names()
    for name in names:
        try:
            known.add(name)
        except InvalidRequest:
            continue
        taken.append(name)
    assert all(0 < len(name.encode()) <= NAME_BYTES for name in taken)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        normalized = {unicodedata.normalize(form, name) for name in taken}
        assert len(normalized) == len(taken)
        assert not any({"/", "\\", "\0"} & set(name) or name in ("", ".", "..") for name in normalized)
