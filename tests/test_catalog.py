"""From what a customer sent to checked fields: everything wrong at once, nothing foreign kept."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consignee.catalog import raw
from consignee.errors import InvalidDestination
from consignee.path_prefix import TOKENS
from drafts import CATALOG, COMPATIBLE, S3, problems


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


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_are_as_if_not_sent(nothing: object) -> None:
    assert CATALOG.parse({**S3, "s3_path_prefix": nothing}) == CATALOG.parse(S3)
    for name in S3:
        assert problems({**S3, name: nothing})[name] == ["is required"]


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
