"""What a prefix may hold, and which keys come of it."""

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from consignee.delivery.file_names import NAME_BYTES, problem
from consignee.path_prefix import (
    KEY_BYTES,
    PREFIX_BYTES,
    SAMPLE,
    TOKENS,
    fixed_part,
    object_key,
    problems,
    render,
)
from consignee.providers.fields import NAME_LENGTH

VALUES = {"COLLECTION_ID": "0A1B2C3D", "COLLECTION_NAME": "My collection", "RESULT_SET_ID": "17", "DATE": "2026_01_31"}
LOOK_ALIKES = "\u2024\u2025\uff0e\uff0f\uff3c\u2100\ufe68"
"""Under NFKC: a dot, two dots, a dot, a slash, a backslash, a/c, a backslash."""
PIECES = st.sampled_from(["/", "//", ".", "..", "a", "%", "é", " ", *LOOK_ALIKES, *(f"%{token}%" for token in TOKENS)])
LONG = st.sampled_from(["%COLLECTION_NAME%", "%DATE%", "%RESULT_SET_ID%", "x/", "é"]).flatmap(
    lambda piece: st.integers(20, 128).map(lambda times: piece * times)
)
PREFIXES = st.lists(PIECES | LONG, max_size=12).map("".join) | st.text(max_size=40)
SAVED = PREFIXES.filter(lambda prefix: not problems(prefix))
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
        ("", "_"),
        ("...", "___"),
        ("\u2024\u2025", "__"),
        ("a\uff0fb\uff3cc\u2100d\ufe68e\uffff", "a_b_c_d_e_"),
        ("Café ½ ", "Café ½ "),
    ],
)
def test_a_collections_name_is_made_safe(name: str, rendered: str) -> None:
    """A token in it is no token; what would be a slash or dots after Unicode normalization is none."""
    assert render("%COLLECTION_NAME%", {**VALUES, "COLLECTION_NAME": name}) == rendered


def test_dots_that_meet_in_a_segment_are_made_safe_too() -> None:
    assert render(".%COLLECTION_NAME%/x", {**VALUES, "COLLECTION_NAME": "."}) == "._/x"


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


COLLECTIONS = st.text(min_size=1, max_size=NAME_LENGTH) | st.builds(
    lambda character, times: character * times,
    st.sampled_from(["x", "é", "日", "😀", ".", " ", "/", *LOOK_ALIKES]),
    st.integers(1, NAME_LENGTH),
)
FILES = st.text(min_size=1, max_size=NAME_BYTES) | st.text(alphabet=f"./\\ %a{LOOK_ALIKES}", min_size=1, max_size=4)
FILES |= st.sampled_from(["x" * NAME_BYTES, "日" * 85, "%DATE%", "...", "_manifest.json"])
FILE_NAMES = FILES.filter(lambda name: problem(name) is None)


@st.composite
def values_of(draw: st.DrawFn) -> dict[str, str]:
    """Any collection, and its first or its 999,999,999,999,999th result set."""
    return {
        "COLLECTION_ID": f"{draw(st.integers(0, 0xFFFFFFFF)):08X}",
        "COLLECTION_NAME": draw(COLLECTIONS),
        "RESULT_SET_ID": str(draw(st.integers(1, 10**15 - 1))),
        "DATE": draw(st.dates()).strftime("%Y_%m_%d").rjust(10, "0"),
    }


@given(prefix=SAVED, values=values_of(), name=FILE_NAMES)
@example(prefix=".%COLLECTION_NAME%/x", values={**VALUES, "COLLECTION_NAME": "."}, name="a")
@example(prefix="%COLLECTION_NAME%" * 45, values={**VALUES, "COLLECTION_NAME": "😀" * NAME_LENGTH}, name="x" * 255)
@example(prefix="x/" * 375 + "%COLLECTION_NAME%", values={**VALUES, "COLLECTION_NAME": "é" * 200}, name="x" * 255)
def test_every_key_lies_under_its_prefix_and_fits(prefix: str, values: dict[str, str], name: str) -> None:
    """For all that can be saved and sent: a key is never refused, and is the rendered prefix and the very file name."""
    rendered = render(prefix, values)
    key = object_key(prefix, values, name)
    assert key == (f"{rendered}/{name}" if rendered else name)
    assert 0 < len(key.encode()) <= KEY_BYTES
    *folders, last = key.split("/")
    assert last == name
    assert len(folders) == sum(1 for written in prefix.split("/") if written)
    normalized = [unicodedata.normalize("NFKC", segment) for segment in (*folders, last)]
    assert not {"", ".", ".."} & {*folders, last, *normalized}


@given(prefix=SAVED, values=values_of(), name=FILE_NAMES)
@example(prefix=".%COLLECTION_NAME%/x", values={**VALUES, "COLLECTION_NAME": "."}, name="a")
@example(prefix="a/%COLLECTION_NAME%", values={**VALUES, "COLLECTION_NAME": "\uff0f"}, name="a")
def test_every_key_begins_with_what_is_fixed(prefix: str, values: dict[str, str], name: str) -> None:
    """A policy that allows only that beginning allows every delivery."""
    assert object_key(prefix, values, name).startswith(fixed_part(prefix))


@given(prefix=st.text(max_size=1000) | PREFIXES, values=values_of(), name=FILE_NAMES)
def test_a_key_under_an_unchecked_prefix_fits_or_is_refused(prefix: str, values: dict[str, str], name: str) -> None:
    """Whatever was saved once: what is returned can be sent."""
    assume(not any("token" in found for found in problems(prefix)))
    try:
        key = object_key(prefix, values, name)
    except ValueError as error:
        assert str(error) == f"the object key is longer than {KEY_BYTES} bytes"  # noqa: PT017
    else:
        assert 0 < len(key.encode()) <= KEY_BYTES
        assert not {"", ".", ".."} & set(key.split("/"))


@given(first=COLLECTIONS, second=COLLECTIONS)
@example(first="é" * 199 + "a", second="é" * 199 + "b")
def test_a_long_name_is_cut_and_stays_different_from_others(first: str, second: str) -> None:
    """Else two collections of one customer would write over each other's files."""
    prefix = "x" * (PREFIX_BYTES - 18) + "/%COLLECTION_NAME%"
    assert problems(prefix) == []
    ends = [render(prefix, {**VALUES, "COLLECTION_NAME": name}).split("/")[1] for name in (first, second)]
    assert all(0 < len(end.encode()) <= 17 for end in ends)
    if any("~" in end for end in ends) and first != second:
        assert ends[0] != ends[1]


def test_a_name_is_cut_where_a_character_ends() -> None:
    values = {**VALUES, "COLLECTION_NAME": "é" * 100}
    assert render("x" * 500 + "%COLLECTION_NAME%", values) == "x" * 500 + "é" * 100
    assert render("x" * 700 + "%COLLECTION_NAME%", values) == "x" * 700 + "é" * 29 + "~f42ec48e"


@pytest.mark.parametrize("prefix", ["..", ".", "a/../b", "a/./b", "/../", "a/..", "a/\u2025", "\uff0e/b", "\uff0e."])
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
        ("%DATE%" * 70 + "%RESULT_SET_ID%" * 4, True),
        ("%DATE%" * 71 + "%RESULT_SET_ID%" * 4, False),
    ],
)
def test_a_prefix_has_a_length_in_bytes(prefix: str, fits: bool) -> None:
    """As written, and with its tokens filled in, which may be longer: a result set's number has up to 15 digits."""
    assert (problems(prefix) == []) == fits


def test_a_key_has_at_most_1024_bytes() -> None:
    assert len(object_key("é" * 100, VALUES, "x" * (KEY_BYTES - 201)).encode()) == KEY_BYTES
    with pytest.raises(ValueError, match="longer than 1024 bytes"):
        object_key("é" * 100, VALUES, "x" * (KEY_BYTES - 200))


def test_there_is_a_sample_of_every_token() -> None:
    assert set(SAMPLE) == set(TOKENS)
