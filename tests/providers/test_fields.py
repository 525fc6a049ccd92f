"""The fields of a destination, from which validation, redaction and descriptions follow."""

import sys
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from consignee.providers import discover
from consignee.providers.fields import DestinationFields, Endpoint, matching, prefix, text, text_problem
from consignee.secret import Secret


class ExampleFields(DestinationFields):
    """A type with a field of each sort."""

    prefix_field = "example_path_prefix"

    example_key = text("Key", secret=True)
    example_size = text("Size", choices={"s": "Small", "l": "Large"}, longest=3)
    example_code = text("Code", check=matching(r"[a-z]{2}", "two letters"), longest=4)
    example_endpoint = text("Endpoint", field=Endpoint)
    example_path_prefix = prefix("Folder")


def problems(values: dict[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the fields."""
    with pytest.raises(ValidationError) as refused:
        ExampleFields().draft("example", {"name": "x", "enabled": True, **values})
    found: dict[str, list[str]] = refused.value.messages_dict
    return found


def test_names_are_sorted_into_settings_and_secrets() -> None:
    schema = ExampleFields()
    assert schema.secret_names == ["example_key"]
    assert schema.setting_names == ["example_size", "example_code", "example_endpoint", "example_path_prefix"]


def test_a_draft_holds_what_was_sent_and_no_more() -> None:
    values = {"name": "x", "enabled": "1", "example_key": "k", "example_code": "ab", "example_size": ""}
    draft = ExampleFields().draft("example", values)
    assert (draft.type, draft.name, draft.enabled) == ("example", "x", True)
    assert draft.settings == {"example_code": "ab"}
    assert draft.secrets == {"example_key": Secret("k")}


def test_all_that_is_wrong_with_one_field_is_said() -> None:
    assert problems({"example_code": "abcde"}) == {
        "example_code": ["must not be longer than 4 characters", "must be two letters"]
    }


@pytest.mark.parametrize("value", ["abc\n", "\nab", "ab\n", "a", "AB"])
def test_a_pattern_matches_the_whole(value: str) -> None:
    with pytest.raises(ValidationError, match="must be two letters"):
        matching(r"[a-z]{2}", "two letters")(value)


def test_a_prefix_is_checked_as_a_prefix() -> None:
    assert list(problems({"example_path_prefix": "%NO%/.."})) == ["example_path_prefix"]
    assert len(problems({"example_path_prefix": "%NO%/.."})["example_path_prefix"]) == 2


def test_an_endpoint_without_a_policy_is_judged_strictly() -> None:
    assert list(problems({"example_endpoint": "http://s3.example.com"})) == ["example_endpoint"]


@given(st.text(st.characters(codec=None)))
def test_text_is_fit_or_the_reason_is_told(value: str) -> None:
    """What is fit can be encoded, and has nothing that would break out of a line or a header."""
    problem = text_problem(value)
    if problem is None:
        assert value.encode().decode() == value
        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in value)
    else:
        assert problem.startswith("must ")


def test_every_control_character_is_unfit_and_nothing_else_but_surrogates() -> None:
    unfit = {chr(number) for number in range(sys.maxunicode + 1) if text_problem(chr(number))}
    assert unfit == {one for one in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(one) in ("Cc", "Cs")}
    assert {one for one in unfit if text_problem(one, multiline=True) is None} == {"\r", "\n", "\t"}


@pytest.mark.parametrize("provider", discover().values(), ids=lambda provider: provider.type)
def test_every_field_of_every_type_can_be_drawn_as_a_form(provider: Any) -> None:
    schema = provider.fields()
    assert schema.prefix_field in schema.setting_names
    assert schema.secret_names
    for name, field in schema.fields.items():
        assert field.metadata["label"], name
        assert set(field.metadata) <= {"label", "secret", "help", "choices", "unless", "multiline", "longest"}
        assert field.metadata.get("unless", "") in ("", *schema.secret_names)
