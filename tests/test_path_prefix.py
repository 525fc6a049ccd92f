"""What a prefix may hold, and which keys come of it."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consignee.path_prefix import KEY_BYTES, PREFIX_BYTES, SAMPLE, TOKENS, object_key, problems, render

VALUES = {"COLLECTION_ID": "0A1B2C3D", "COLLECTION_NAME": "My collection", "RESULT_SET_ID": "17", "DATE": "2026_01_31"}
PIECES = st.sampled_from(["/", "//", ".", "..", "a", "%", "é", " ", *(f"%{token}%" for token in TOKENS)])
PREFIXES = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40)
NAMES = st.text(max_size=30) | st.text(alphabet="./\\%\n\x00 a", max_size=8) | st.sampled_from(["%DATE%", "..", "."])


@pytest.mark.parametrize(
    ("prefix", "rendered"),
    [
        ("", ""),
        ("/", ""),
        ("///", ""),
        ("exports", "exports"),
        ("/exports/", "exports"),
        ("a//b///c", "a/b/c"),
        ("%COLLECTION_NAME%", "My collection"),
        ("%COLLECTION_ID%/%RESULT_SET_ID%/%DATE%", "0A1B2C3D/17/2026_01_31"),
        ("x%DATE%y%DATE%z", "x2026_01_31y2026_01_31z"),
        ("100%", "100%"),
        ("50%-60%", "50%-60%"),
        ("%%DATE%%", "%2026_01_31%"),
        (" spaces / kept ", " spaces / kept "),
        ("日本/é", "日本/é"),
        (".hidden/...", ".hidden/..."),
    ],
)
def test_a_prefix_is_rendered(prefix: str, rendered: str) -> None:
    assert problems(prefix) == []
    assert render(prefix, VALUES) == rendered


@pytest.mark.parametrize(
    ("name", "rendered"),
    [
        ("a/b", "a_b"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("..", "__"),
        (".", "_"),
        ("a\\b", "a_b"),
        ("a\nb\x00c\x7fd\x85e", "a_b_c_d_e"),
        ("%DATE%", "%DATE%"),
        ("", ""),
    ],
)
def test_a_collections_name_is_made_safe(name: str, rendered: str) -> None:
    """A token in it is no token."""
    assert render("%COLLECTION_NAME%", {**VALUES, "COLLECTION_NAME": name}) == rendered


def test_dots_that_meet_in_a_segment_are_made_safe_too() -> None:
    assert render(".%COLLECTION_NAME%/x", {**VALUES, "COLLECTION_NAME": "."}) == "__/x"


@given(prefix=PREFIXES, name=NAMES)
@example(prefix="%COLLECTION_NAME%/x", name="")
@example(prefix=".%COLLECTION_NAME%", name=".")
def test_no_key_leads_out_of_its_folder(prefix: str, name: str) -> None:
    """Whatever the collection is called: no leading slash, no empty, `.` or `..` segment, no control character of its."""
    if problems(prefix):
        return
    rendered = render(prefix, {**VALUES, "COLLECTION_NAME": name})
    key = object_key(prefix, {**VALUES, "COLLECTION_NAME": name}, "file.txt")
    assert key == (f"{rendered}/file.txt" if rendered else "file.txt")
    assert not {"", ".", ".."} & set(key.split("/"))
    controls = {character for character in key if unicodedata.category(character) == "Cc"}
    assert controls <= set(prefix)
    assert key.count("/") <= prefix.count("/") + 1


@given(prefix=PREFIXES)
def test_what_can_be_saved_can_be_tested(prefix: str) -> None:
    """The sample key of the connectivity test fits, with room for a file's name."""
    if not problems(prefix):
        assert len(object_key(prefix, SAMPLE, "x" * 200).encode()) <= KEY_BYTES


@pytest.mark.parametrize("token", ["%NAME%", "%date%", "%Collection_Id%", "%TIME_1%", "%X%"])
def test_an_unknown_token_is_refused_and_the_known_are_named(token: str) -> None:
    (problem,) = problems(f"a/{token}/b")
    assert token in problem
    assert all(f"%{known}%" in problem for known in TOKENS)


def test_all_problems_are_named_at_once() -> None:
    assert len(problems("%ONE%/%TWO%/../a\\b" + "x" * PREFIX_BYTES)) == 5


@pytest.mark.parametrize("prefix", ["..", ".", "a/../b", "a/./b", "/../", "a/.."])
def test_a_way_up_is_refused(prefix: str) -> None:
    assert problems(prefix) == ["must not contain . or .. as a folder"]


@pytest.mark.parametrize(
    ("prefix", "fits"),
    [
        ("x" * PREFIX_BYTES, True),
        ("x" * (PREFIX_BYTES + 1), False),
        ("é" * (PREFIX_BYTES // 2), True),
        ("é" * (PREFIX_BYTES // 2 + 1), False),
        ("%DATE%" * 76 + "x" * 8, True),
        ("%DATE%" * 77, False),
    ],
)
def test_a_prefix_has_a_length_in_bytes(prefix: str, fits: bool) -> None:
    """As written, and with its tokens filled in, which may be longer."""
    assert (problems(prefix) == []) == fits


def test_a_key_has_at_most_1024_bytes() -> None:
    assert len(object_key("é" * 100, VALUES, "x" * (KEY_BYTES - 201)).encode()) == KEY_BYTES
    with pytest.raises(ValueError, match="longer than 1024 bytes"):
        object_key("é" * 100, VALUES, "x" * (KEY_BYTES - 200))


def test_there_is_a_sample_of_every_token() -> None:
    assert set(SAMPLE) == set(TOKENS)
