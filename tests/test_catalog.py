"""From what a customer sent to checked fields: everything wrong at once, nothing foreign kept."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.catalog import Catalog, raw
from consignee.destination import Destination, Draft
from consignee.egress import Policy
from consignee.errors import InvalidDestination, StoreError
from consignee.path_prefix import TOKENS
from consignee.providers import discover
from consignee.secret import Secret

CATALOG: Final = Catalog(discover().values(), Policy())
S3: Final[Mapping[str, Any]] = {
    "name": "Mine",
    "enabled": True,
    "type": "s3",
    "s3_access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "s3_secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "s3_bucket_name": "my-files",
}
COMPATIBLE: Final[Mapping[str, Any]] = {**S3, "type": "s3compatible", "s3_endpoint": "https://s3.example.com"}


def problems(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with a new destination."""
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.parse(values)
    assert refused.value.code == "invalid_request"
    return refused.value.errors


def saved(values: Mapping[str, Any]) -> Destination:
    """Return a destination as it is kept."""
    draft = CATALOG.parse(values)
    return Destination(**vars(draft), account="acme", id="ABCD1234", revision=1, created_at="then", updated_at="then")


def test_the_fields_of_a_type_are_taken() -> None:
    draft = CATALOG.parse({**COMPATIBLE, "s3_region": "eu-west-1", "s3_path_prefix": "a/%DATE%"})
    assert (draft.type, draft.name, draft.enabled) == ("s3compatible", "Mine", True)
    assert draft.settings == {
        "s3_bucket_name": "my-files",
        "s3_endpoint": "https://s3.example.com",
        "s3_region": "eu-west-1",
        "s3_path_prefix": "a/%DATE%",
    }
    assert {name: secret.reveal() for name, secret in draft.secrets.items()} == {
        "s3_access_key_id": S3["s3_access_key_id"],
        "s3_secret_access_key": S3["s3_secret_access_key"],
    }


def test_everything_wrong_is_said_at_once() -> None:
    found = problems({"type": "s3compatible", "s3_bucket_name": "../x", "s3_region": "a b", "s3_path_prefix": "%NO%"})
    assert set(found) == {
        "name",
        "enabled",
        "s3_access_key_id",
        "s3_secret_access_key",
        "s3_bucket_name",
        "s3_endpoint",
        "s3_region",
        "s3_path_prefix",
    }
    assert found["name"] == ["is required"]
    assert all(texts and all(isinstance(text, str) for text in texts) for texts in found.values())


@pytest.mark.parametrize("kind", [None, "", "ftp", "S3", 1, ["s3"], {"s3": 1}, True])
def test_an_unknown_type_is_named_beside_what_else_is_wrong(kind: object) -> None:
    found = problems({"type": kind, "enabled": "perhaps"})
    assert set(found) == {"type", "name", "enabled"}
    if kind in (None, ""):
        assert found["type"] == ["is required"]
    else:
        assert found["type"] == ["must be one of " + ", ".join(CATALOG.types)]


def test_without_a_type_it_is_required() -> None:
    assert problems({"name": "x", "enabled": True}) == {"type": ["is required"]}


def test_an_alias_is_answered_by_its_own_name() -> None:
    assert CATALOG.parse({**COMPATIBLE, "type": "s3_compatible"}) == CATALOG.parse(COMPATIBLE)


def test_what_is_not_of_this_type_is_never_kept() -> None:
    """Neither what is unknown, nor a known field of another type, however wrong it is there."""
    foreign = {
        "s3_endpoint": "gopher://nowhere",
        "s3_region": "x.evil.com/#",
        "gcs_bucket_name": "theirs",
        "azure_account_key": 17,
        "source": "php",
        "id": "FFFFFFFF",
        "account": "other",
        "revision": 99,
        "found": {"region": "evil"},
        "__class__": "x",
    }
    assert CATALOG.parse({**S3, **foreign}) == CATALOG.parse(S3)


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(("word", "truth"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_form_and_json_come_to_the_same(as_json: bool, word: str, truth: bool) -> None:
    given_ = json.loads(word) if as_json else word.upper()
    assert CATALOG.parse({**S3, "enabled": given_}) == CATALOG.parse({**S3, "enabled": truth})


@pytest.mark.parametrize("value", ["yes", "on", "2", 2, -1, 1.5, [], [True], {}, "tru", " true", float("nan")])
def test_what_is_neither_true_nor_false(value: object) -> None:
    assert problems({**S3, "enabled": value}) == {"enabled": ["must be true or false"]}


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_are_as_if_not_sent(nothing: object) -> None:
    assert CATALOG.parse({**S3, "s3_path_prefix": nothing}) == CATALOG.parse(S3)
    for name in S3:
        assert problems({**S3, name: nothing})[name] == ["is required"]


@pytest.mark.parametrize("value", [1, 1.5, True, [], ["x"], {}, {"a": "b"}])
@pytest.mark.parametrize("name", ["name", "s3_bucket_name", "s3_secret_access_key", "s3_path_prefix", "s3_endpoint"])
def test_what_is_not_a_string_is_refused(name: str, value: object) -> None:
    assert problems({**COMPATIBLE, name: value}) == {name: ["must be a string"]}


@pytest.mark.parametrize("character", ["\x00", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\ud800"])
@pytest.mark.parametrize("name", [name for name in COMPATIBLE if name not in ("enabled", "type")])
def test_control_characters_and_half_characters_are_refused(name: str, character: str) -> None:
    """They would become a part of a header, a path, a log line or a file."""
    found = problems({**COMPATIBLE, name: f"x{character}y"})
    assert set(found) == {name}
    assert f"x{character}y" not in str(found)


@pytest.mark.parametrize(
    ("name", "longest"), [("name", 200), ("s3_secret_access_key", 1024), ("s3_access_key_id", 256)]
)
def test_a_field_has_a_longest_form(name: str, longest: int) -> None:
    CATALOG.parse({**S3, name: "x" * longest})
    assert problems({**S3, name: "x" * (longest + 1)}) == {name: [f"must not be longer than {longest} characters"]}


def test_a_name_of_spaces_is_none() -> None:
    assert problems({**S3, "name": "  \u00a0 "}) == {"name": ["is required"]}


HOSTILE_BUCKETS: Final = [
    "../x",
    "..",
    "a/b",
    "a\\b",
    "arn:aws:s3:::x",
    "arn:aws:s3:us-west-2:123456789012:accesspoint/my-ap",
    "1.2.3.4",
    "192.168.0.1",
    "https://my-files.s3.amazonaws.com",
    "my-files.s3.amazonaws.com/",
    "my files",
    "my-files?x=y",
    "my-files#x",
    "my-files@evil",
    "my%2ffiles",
    "{bucket}",
    "a..b",
    ".ab",
    "ab.",
    "-ab",
    "ab-",
    "ab",
    "a" * 64,
    "büro",
    "my-files:443",
    "my,files",
]


@pytest.mark.parametrize("bucket", [*HOSTILE_BUCKETS, "My-Files", "my_files", "a.-b"])
def test_what_is_no_bucket_at_amazon(bucket: str) -> None:
    """The name becomes a part of a host's name and of a path."""
    assert set(problems({**S3, "s3_bucket_name": bucket})) == {"s3_bucket_name"}


@pytest.mark.parametrize("bucket", HOSTILE_BUCKETS)
def test_what_is_no_bucket_anywhere(bucket: str) -> None:
    assert set(problems({**COMPATIBLE, "s3_bucket_name": bucket})) == {"s3_bucket_name"}


@pytest.mark.parametrize("bucket", ["abc", "my-files", "my.files", "0a1", "a" * 63, "1.2.3.4a"])
def test_what_is_a_bucket(bucket: str) -> None:
    assert CATALOG.parse({**S3, "s3_bucket_name": bucket}).settings["s3_bucket_name"] == bucket


@pytest.mark.parametrize("bucket", ["My_Files", "UPPER", "under_score"])
def test_look_alikes_have_names_that_amazon_has_not(bucket: str) -> None:
    assert CATALOG.parse({**COMPATIBLE, "s3_bucket_name": bucket}).settings["s3_bucket_name"] == bucket


@pytest.mark.parametrize("region", ["x.evil.com/#", "a/b", "a b", "-a", "a-", "é", "a" * 64, "a.b", "a:1", "a%2f"])
def test_what_is_no_region(region: str) -> None:
    assert set(problems({**COMPATIBLE, "s3_region": region})) == {"s3_region"}


@pytest.mark.parametrize("region", ["auto", "eu-west-1", "us-west-004", "fr-par", "ams3", "default", "US", "a_b", "x"])
def test_what_is_a_region(region: str) -> None:
    assert CATALOG.parse({**COMPATIBLE, "s3_region": region}).settings["s3_region"] == region


@pytest.mark.parametrize("style", ["Path", "dns", "https", "path "])
def test_an_unknown_addressing_style_is_refused(style: str) -> None:
    found = problems({**COMPATIBLE, "s3_addressing_style": style})
    assert found == {"s3_addressing_style": ["must be one of path, virtual, auto"]}


@pytest.mark.parametrize("key_id", ["a b", "a,b", "a/b", "schlüssel", "AKIA/x/s3/aws4_request", " "])
def test_what_is_no_key_id(key_id: str) -> None:
    """It would change what the header of the signature says."""
    found = problems({**S3, "s3_access_key_id": key_id})
    assert set(found) == {"s3_access_key_id"}
    assert key_id == " " or key_id not in str(found)


@pytest.mark.parametrize("key_id", ["AKIAIOSFODNN7EXAMPLE", "test:tester", "a-b_c.d+e=f", "GOOG1EXAMPLE", "!~*"])
def test_what_is_a_key_id(key_id: str) -> None:
    assert CATALOG.parse({**S3, "s3_access_key_id": key_id}).secrets["s3_access_key_id"] == Secret(key_id)


def test_a_secret_is_kept_to_the_last_space() -> None:
    """It may be wrong, but that is for the storage to say; then we hint at it."""
    draft = CATALOG.parse({**S3, "s3_secret_access_key": " a b "})
    assert draft.secrets["s3_secret_access_key"].reveal() == " a b "


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("http://s3.example.com", "must allow http"),
        ("https://s3.example.com/", "slash"),
        ("https://s3.example.com/bucket", "no path"),
        ("https://u:p@s3.example.com", "user name"),
        ("https://localhost", "private network"),
        ("s3.example.com", "a scheme"),
        ("https://{bucket}.example.com", "letters"),
    ],
)
def test_an_endpoint_is_judged_by_the_policy(endpoint: str, said: str) -> None:
    (text,) = problems({**COMPATIBLE, "s3_endpoint": endpoint})["s3_endpoint"]
    assert said in text


def test_an_endpoint_is_kept_in_one_form() -> None:
    draft = CATALOG.parse({**COMPATIBLE, "s3_endpoint": "HTTPS://S3.Example.COM:443"})
    assert draft.settings["s3_endpoint"] == "https://s3.example.com"


def test_an_operator_may_allow_more() -> None:
    catalog = Catalog(discover().values(), Policy(allow_http=True, allow_names=("minio",)))
    draft = catalog.parse({**COMPATIBLE, "s3_endpoint": "http://minio:9000"})
    assert draft.settings["s3_endpoint"] == "http://minio:9000"


def test_a_partial_update_leaves_the_rest() -> None:
    before = saved({**COMPATIBLE, "s3_path_prefix": "a"})
    assert CATALOG.merge(before, {}) == before.draft
    after = CATALOG.merge(before, {"name": "Other", "s3_bucket_name": "other-files"})
    assert (after.name, after.settings["s3_bucket_name"]) == ("Other", "other-files")
    assert after.settings["s3_path_prefix"] == "a"
    assert after.secrets == before.secrets


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_secret_stays(empty: object) -> None:
    """Forms send every field, and a secret is never shown to be sent back."""
    before = saved(S3)
    after = CATALOG.merge(before, {"s3_secret_access_key": empty, "s3_access_key_id": empty})
    assert after == before.draft


def test_a_new_secret_takes_the_place_of_the_old() -> None:
    after = CATALOG.merge(saved(S3), {"s3_secret_access_key": "new"})
    assert after.secrets["s3_secret_access_key"] == Secret("new")
    assert after.secrets["s3_access_key_id"] == Secret(S3["s3_access_key_id"])


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_optional_field_is_cleared(empty: object) -> None:
    before = saved({**COMPATIBLE, "s3_path_prefix": "a", "s3_region": "eu-west-1"})
    after = CATALOG.merge(before, {"s3_path_prefix": empty})
    assert "s3_path_prefix" not in after.settings
    assert after.settings["s3_region"] == "eu-west-1"


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize("name", ["name", "enabled", "s3_bucket_name", "type"])
def test_an_empty_required_field_is_no_change_but_wrong(name: str, empty: object) -> None:
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(saved(S3), {name: empty})
    assert refused.value.errors == {name: ["is required"]}


def test_a_wrong_type_in_an_update_is_named() -> None:
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(saved(S3), {"type": "ftp", "s3_secret_access_key": ""})
    assert set(refused.value.errors) == {"type"}


def test_a_type_can_be_changed_if_its_fields_come_too() -> None:
    """What both types have stays; what the new one lacks goes."""
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(saved(S3), {"type": "s3compatible"})
    assert refused.value.errors == {"s3_endpoint": ["is required"]}
    there = CATALOG.merge(saved(S3), {"type": "s3_compatible", "s3_endpoint": "https://s3.example.com"})
    assert there == CATALOG.parse(COMPATIBLE)
    back = CATALOG.merge(saved({**COMPATIBLE, "s3_region": "eu-west-1"}), {"type": "s3"})
    assert back == CATALOG.parse(S3)


def test_a_type_that_is_not_served_any_more() -> None:
    """Shown without its fields and not tested; an update must give it a type that is."""
    gone = Draft(type="gone", name="x", enabled=True, settings={"gone_bucket": "b"}, secrets={"gone_key": Secret("k")})
    with pytest.raises(StoreError, match="'gone' are not served"):
        CATALOG.provider(gone)
    assert CATALOG.view(gone) == {"secrets_set": []}
    place: dict[str, Any] = {"account": "a", "id": "A", "revision": 1, "created_at": "", "updated_at": ""}
    before = Destination(**vars(gone), **place)
    with pytest.raises(InvalidDestination) as refused:
        CATALOG.merge(before, {"name": "y"})
    assert set(refused.value.errors) == {"type"}
    assert CATALOG.merge(before, {**S3, "name": "y"}) == replace(CATALOG.parse(S3), name="y")


def test_the_view_shows_which_secrets_are_set_and_none_of_them() -> None:
    view = CATALOG.view(CATALOG.parse(COMPATIBLE))
    assert view == {
        "s3_bucket_name": "my-files",
        "s3_path_prefix": None,
        "s3_endpoint": "https://s3.example.com",
        "s3_region": None,
        "s3_addressing_style": None,
        "secrets_set": ["s3_access_key_id", "s3_secret_access_key"],
    }


def test_the_types_are_described_with_their_fields() -> None:
    described = {one["type"]: one for one in CATALOG.describe()}
    assert list(described) == CATALOG.types
    assert described["s3compatible"]["label"] == "S3-compatible storage"
    fields = {field["name"]: field for field in described["s3compatible"]["fields"]}
    required = {name for name, field in fields.items() if field["required"]}
    assert required == {"enabled", "name", "s3_access_key_id", "s3_secret_access_key", "s3_bucket_name", "s3_endpoint"}
    assert {name for name, field in fields.items() if field["secret"]} == {"s3_access_key_id", "s3_secret_access_key"}
    assert [choice["value"] for choice in fields["s3_addressing_style"]["choices"]] == ["path", "virtual", "auto"]
    assert all(f"%{token}%" in fields["s3_path_prefix"]["help"] for token in TOKENS)
    assert "s3_endpoint" not in {field["name"] for field in described["s3"]["fields"]}
    assert all(field["label"] for one in described.values() for field in one["fields"])
    assert json.loads(json.dumps(described)) == described


def test_a_draft_goes_back_to_what_was_sent() -> None:
    assert raw(CATALOG.parse(COMPATIBLE)) == COMPATIBLE


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.text(alphabet=st.characters(codec=None, categories=("Cs", "Cc")), max_size=3),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


FUZZED = (*COMPATIBLE, "s3_region", "s3_path_prefix")


@given(changes=st.dictionaries(st.sampled_from([*FUZZED, "other"]), VALUES))
def test_whatever_is_sent_is_parsed_or_refused_by_field(changes: dict[str, Any]) -> None:
    """Nothing else is raised; and only what was changed is found wrong, unless that was the type."""
    try:
        draft = CATALOG.parse({**COMPATIBLE, **changes})
    except InvalidDestination as error:
        wrong = set(error.errors)
    else:
        wrong = set()
        assert CATALOG.parse(raw(draft)) == draft
    assert wrong <= set(changes) & set(FUZZED)


def test_a_number_of_5000_digits_is_neither_true_nor_false() -> None:
    assert problems({**S3, "enabled": 10**5000}) == {"enabled": ["must be true or false"]}
